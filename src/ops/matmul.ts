import { ceilDiv, defineKernel } from "../gpu/kernel.ts";
import type { Variant } from "../gpu/device.ts";
import { memoize } from "../gpu/memoize.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { GradientTarget, Recorder } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import { type Block, blockText, UNROLL } from "./matmul_text.ts";
import { matmulTiled } from "./matmul_tiled.ts";
import matmulCode from "../../shaders/matmul.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const definition = {
  code: matmulCode,
  libraries: [threadCode],
  params: { M: "u32", N: "u32", K: "u32", a_offset: "u32", b_offset: "u32", out_offset: "u32" },
  constants: { WORKGROUP: 8, ACCUMULATE: false, ADD: false, ...blockText({ mode: "NT", tile: 8, a: 4, b: 4, out: 4, edge: true, tail: false }) },
  groups: ({ M, N }: { M: number; N: number }, { TILE, WORKGROUP }: Constants) => ceilDiv(ceilDiv(M, Number(TILE)) * ceilDiv(N, Number(TILE)), Number(WORKGROUP)),
} as const;
const matmulKernel = defineKernel({ ...definition, name: "matmul", bindings: { a: "read", b: "read", out: "read_write" } });
const matmulAddKernel = defineKernel({
  ...definition,
  name: "matmul_add",
  bindings: { a: "read", b: "read", addend: "read", out: "read_write" },
  constants: { ...definition.constants, ADD: true },
});

const assigningBlock = memoize((block: Block) => matmulKernel.with(blockText(block)));
const accumulatingBlock = memoize((block: Block) => matmulKernel.with({ ...blockText(block), ACCUMULATE: true }));
const addingBlock = memoize((block: Block) => matmulAddKernel.with(blockText(block)));

export interface MatmulSize {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  /** Elements to skip at the start of each tensor: for working on a range of rows. */
  readonly a_offset?: number;
  readonly b_offset?: number;
  readonly out_offset?: number;
}

/**
 * NT: (M, K) (N, K)ᵀ, a linear layer's forward · NN: (M, K) (K, N), its input gradient · TN: (K, M)ᵀ (K, N), its weight gradient.
 */
export type MatmulMode = "NT" | "NN" | "TN";

export interface MatmulOperands {
  readonly a: Tensor;
  readonly b: Tensor;
  readonly target: GradientTarget;
  readonly addend?: Tensor | undefined;
}

/** Records out = A B, or out += A B if `target.accumulate`, or out = addend + A B. */
export function matmul(r: Recorder, mode: MatmulMode, operands: MatmulOperands, size: MatmulSize): void {
  if (r.variant === "tiled") return matmulTiled(r, mode, operands, size);
  const { a, b, target, addend } = operands;
  const params = { a_offset: 0, b_offset: 0, out_offset: 0, ...size };
  const block = blockFor(r.variant, mode, params);
  if (addend) r.run(addingBlock(block), { a, b, addend, out: target.tensor }, params);
  else r.run(target.accumulate ? accumulatingBlock(block) : assigningBlock(block), { a, b, out: target.tensor }, params);
}

/** Fewer large blocks than this leave a core without work. */
const LARGE_BLOCKS = 16;

/** Large blocks where they fit evenly and there are enough of them; with edges their code takes seconds to compile. */
function blockFor(variant: Variant, mode: MatmulMode, { M, N, K, a_offset, b_offset, out_offset }: Required<MatmulSize>): Block {
  const isLarge = variant !== "portable_small" && M % 16 === 0 && N % 16 === 0 && (M / 16) * (N / 16) >= LARGE_BLOCKS;
  const tile = isLarge ? 16 : 8;
  const width = (row: number, offset: number): 1 | 4 => (row % 4 === 0 && offset % 4 === 0 ? 4 : 1);
  return {
    mode,
    tile,
    a: width(mode === "TN" ? M : K, a_offset),
    b: width(mode === "NT" ? K : N, b_offset),
    out: width(N, out_offset),
    edge: M % tile !== 0 || N % tile !== 0,
    tail: K % UNROLL !== 0,
  };
}
