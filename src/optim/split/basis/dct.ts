import { defineKernel, perThread } from "../../../gpu/kernel.ts";
import { matmul } from "../../../ops/matmul.ts";
import { SCALAR } from "../../../ops/vector.ts";
import type { Recorder } from "../../../plan/recorder.ts";
import { size, type Tensor, tensor } from "../../../plan/tensor.ts";
import type { BasisSide } from "./power_iteration.ts";
import dctEnergyCode from "../../../../shaders/dct_energy.wgsl" with { type: "text" };
import dctFillCode from "../../../../shaders/dct_fill.wgsl" with { type: "text" };
import dctSelectCode from "../../../../shaders/dct_select.wgsl" with { type: "text" };
import finiteCode from "../../../../shaders/lib/finite.wgsl" with { type: "text" };
import threadCode from "../../../../shaders/lib/thread.wgsl" with { type: "text" };

const fillDefinition = {
  code: dctFillCode,
  libraries: [threadCode],
  params: { n: "u32", d: "u32", k: "u32" },
  groups: perThread,
} as const;
const dctSomeKernel = defineKernel({
  ...fillDefinition,
  name: "dct_fill",
  reads: { table: "array<f32>", indices: "array<u32>" },
  writes: { out: "array<f32>" },
  constants: { WORKGROUP: 64, ALL: false },
});
const dctAllKernel = defineKernel({
  ...fillDefinition,
  name: "dct_fill_all",
  reads: { table: "array<f32>" },
  writes: { out: "array<f32>" },
  constants: { WORKGROUP: 64, ALL: true },
});

const dctEnergyKernel = defineKernel({
  name: "dct_energy",
  code: dctEnergyCode,
  libraries: [threadCode],
  reads: { x: "array<f32>" },
  writes: { energy: "array<f32>" },
  params: { n: "u32", rows: "u32", columns: "u32" },
  constants: { WORKGROUP: 64, ROWS: false },
  groups: perThread,
});

const dctSelectKernel = defineKernel({
  name: "dct_select",
  code: dctSelectCode,
  libraries: [threadCode, finiteCode],
  reads: { energy: "array<f32>" },
  writes: { indices: "array<u32>" },
  params: { n: "u32", k: "u32", cold: "u32" },
  constants: { WORKGROUP: 64, ...SCALAR },
  groups: perThread,
});

/** Longest side d for which 2 d² fits into 32 bits. */
const MAX_LENGTH = 46_340;

/** The tensor (4 d) of `dctTableValues(d)`, for all bases of length d. @throws RangeError if d exceeds 46 340. */
export function dctTable(d: number): Tensor {
  if (d > MAX_LENGTH) {
    throw new RangeError(
      `Cannot make a cosine basis of length ${d}: expected at most ${MAX_LENGTH}. Choose another projection`,
    );
  }
  return tensor(`cosines of ${d}`, [4 * d], "frozen");
}

/** sqrt(2 / d) cos(2π i / 4d) for a whole turn, in f64 rounded once. */
export const dctTableValues = (d: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: 4 * d }, (_, i) => Math.sqrt(2 / d) * Math.cos((Math.PI * i) / (2 * d)));

/** Records out (d, k), the columns of the orthonormal DCT-II that `indices` (k) u32 name. `table`: dctTable(d). */
export function dctFill(r: Recorder, indices: Tensor, table: Tensor, out: Tensor): void {
  const [d, k] = out.shape as [number, number];
  r.run(dctSomeKernel, { table, indices, out }, { n: d * k, d, k });
}

/**
 * Records the choice of the k cosines that hold most of a gradient's energy (Modoranu et al., 2025, with the l2 norm):
 * of G (m, n) those of length n by the columns of G Q for the right, those of length m by the rows of Qᵀ G for the
 * left, Q all cosines. Takes scratch of the size of G and of Q. A zero gradient, or one whose squares are not finite,
 * leaves the choice as it is; a `cold` one, whose indices hold nothing yet, then becomes the k lowest frequencies.
 * @param indices (k) u32 state, written.
 */
export function dctSelect(
  r: Recorder,
  gradient: Tensor,
  indices: Tensor,
  side: BasisSide,
  table: Tensor,
  cold: boolean,
): void {
  const [m, n] = gradient.shape as [number, number], d = side === "right" ? n : m, k = size(indices);
  if (k > d || size(table) !== 4 * d) {
    throw new RangeError(
      `Cannot choose ${k} cosines for the ${side} of ${gradient.label} (${gradient.shape}): expected at most ${d}, ` +
        `and a table of ${4 * d} numbers, got ${size(table)}`,
    );
  }
  const all = r.tensor("all cosines", [d, d], "scratch"),
    x = r.tensor("transformed gradient", [m, n], "scratch"),
    energy = r.tensor("energy", [d], "scratch");
  const target = { tensor: x, accumulate: false };
  r.run(dctAllKernel, { table, out: all }, { n: d * d, d, k: d });
  if (side === "right") matmul(r, "NN", { a: gradient, b: all, target }, { M: m, N: n, K: n });
  else matmul(r, "TN", { a: all, b: gradient, target }, { M: m, N: n, K: m });
  r.run(dctEnergyKernel.with({ ROWS: side === "left" }), { x, energy }, { n: d, rows: m, columns: n });
  r.run(dctSelectKernel, { energy, indices }, { n: d, k, cold: Number(cold) });
}
