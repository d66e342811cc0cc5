import { ceilDiv, defineKernel } from "../gpu/kernel.ts";
import type { GradientTarget, Recorder } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import matmulCode from "../../shaders/matmul.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const definition = {
  code: matmulCode,
  libraries: [threadCode],
  params: { M: "u32", N: "u32", K: "u32", a_offset: "u32", b_offset: "u32", out_offset: "u32" },
  constants: { WORKGROUP: 64, TRANSPOSE_A: false, TRANSPOSE_B: false, ACCUMULATE: false, ADD: false },
  groups: ({ M, N }: { M: number; N: number }) => ceilDiv(M * N, 64),
} as const;
const matmulKernel = defineKernel({ ...definition, name: "matmul", bindings: { a: "read", b: "read", out: "read_write" } });
const matmulAddKernel = defineKernel({
  ...definition,
  name: "matmul_add",
  bindings: { a: "read", b: "read", addend: "read", out: "read_write" },
  constants: { ...definition.constants, ADD: true },
});

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

/** Records out = A B, or out += A B if `target.accumulate`, or out = addend + A B. */
export function matmul(
  r: Recorder,
  mode: MatmulMode,
  { a, b, target, addend }: { readonly a: Tensor; readonly b: Tensor; readonly target: GradientTarget; readonly addend?: Tensor | undefined },
  size: MatmulSize,
): void {
  const params = { a_offset: 0, b_offset: 0, out_offset: 0, ...size };
  const constants = { TRANSPOSE_A: mode[0] === "T", TRANSPOSE_B: mode[1] === "T" };
  if (addend) r.run(matmulAddKernel.with(constants), { a, b, addend, out: target.tensor }, params);
  else r.run(matmulKernel.with({ ...constants, ACCUMULATE: target.accumulate }), { a, b, out: target.tensor }, params);
}
