// The least that a dispatch has to do, from its sizes: floating-point operations, and bytes to and from memory.
// An fma is two operations; exp, sqrt and a division are one each, though they take longer. Attention counts the pairs
//   below the diagonal only. A tensor is read or written once, and both if its kernel updates it in place.

import type { Step } from "../../src/plan/recorder.ts";
import { bytesOf, size, type Tensor } from "../../src/plan/tensor.ts";

export interface Cost {
  /** Undefined where nobody has counted. */
  readonly operations: number | undefined;
  readonly bytes: number;
}

/** The facts of the tensors bound by a name, and the kernel's numbers. */
interface Sizes {
  /** Elements; 0 if the kernel has no such binding. */
  readonly of: (binding: string) => number;
  /** Bytes of an element: 2 for weights in bf16. */
  readonly width: (binding: string) => number;
  readonly params: Readonly<Record<string, number>>;
  readonly isTransposed: boolean;
}

/** Key and query pairs of flash attention, times the width of a head. */
const attended = ({ of, params: { T } }: Sizes): number => (of("q") * (T! + 1)) / 2;
/** The numbers below and on the diagonal of a tensor (…, T, T). */
const belowDiagonal = ({ of, params: { T } }: Sizes, binding: string): number => (of(binding) * (T! + 1)) / (2 * T!);

/** Operations by kernel, read off the shaders. Tiled kernels compute the same. */
const OPERATIONS: Readonly<Record<string, (sizes: Sizes) => number>> = {
  matmul: ({ params: { M, N, K } }) => 2 * M! * N! * K!,
  matmul_add: ({ params: { M, N, K } }) => 2 * M! * N! * K! + M! * N!,
  // Scores and values; with the gradients of probabilities and queries; with those of values and keys as well.
  flash_attention: (sizes) => 4 * attended(sizes),
  flash_attention_query_backward: (sizes) => 6 * attended(sizes) + 2 * sizes.of("q"),
  flash_attention_key_backward: (sizes) => 8 * attended(sizes),
  attention_scores: (sizes) => (2 * belowDiagonal(sizes, "out") * sizes.of("x")) / (sizes.of("out") / sizes.params.T!),
  attention_values: (sizes) =>
    (2 * belowDiagonal(sizes, "p") * sizes.of(sizes.isTransposed ? "x" : "out")) / (sizes.of("p") / sizes.params.T!),
  softmax: (sizes) => 5 * belowDiagonal(sizes, "x_inout"),
  softmax_backward: (sizes) => 5 * belowDiagonal(sizes, "y"),
  rms_norm: ({ of }) => 4 * of("x"),
  rms_norm_backward: ({ of }) => 7 * of("x"),
  rms_norm_weight_backward: ({ of }) => 3 * of("x"),
  rope: ({ of }) => 3 * (of("q_inout") + of("k_inout")),
  swiglu: ({ of }) => 5 * of("y"),
  swiglu_backward: ({ of }) => 11 * of("dy"),
  cross_entropy: ({ of }) => 7 * of("logits_inout"),
  embedding_backward: ({ of }) => of("dy"),
  sum_slices: ({ of }) => of("slices"),
  sum_slices_add: ({ of }) => of("slices"),
  // By Adam: moments and direction of what has moments, the rest of every number.
  update: ({ of }) => 13 * of("b") + 3 * of("parameter"),
};

/** Kernels that read or write only a part of what is bound. */
const BYTES: Readonly<Record<string, (step: Step, sizes: Sizes) => number>> = {
  matmul: ({ kernel }, { params: { M, N, K }, width }) =>
    4 * M! * K! + width("b") * N! * K! + (kernel.constants.ACCUMULATE ? 8 : 4) * M! * N!,
  matmul_add: (_, { params: { M, N, K }, width }) => 4 * M! * K! + width("b") * N! * K! + 8 * M! * N!,
  embedding: (_, { of, width }) => 4 * of("ids") + (4 + width("weight")) * of("y"),
  // As many rows of the weight's gradient as there are tokens, read and written: fewer if tokens repeat.
  embedding_backward: (_, { of }) => 4 * (3 * of("order") + 3 * of("dy")),
};

/** Bindings that are read and written, beside those whose name says `_inout`: an update's. */
const UPDATED: ReadonlySet<string> = new Set(["parameter", "a", "b"]);

export function costOf(step: Step): Cost {
  const { kernel, params, tensors } = step;
  const names = Object.keys(kernel.bindings);
  const bound = (binding: string): Tensor | undefined => tensors[names.indexOf(binding)];
  const of = (binding: string): number => (bound(binding) ? size(bound(binding)!) : 0);
  const width = (binding: string): number => (bound(binding)?.type === "bf16" ? 2 : 4);
  const sizes = { of, width, params, isTransposed: kernel.constants.TRANSPOSE === true };
  const name = kernel.name.replace("_tiled", "");
  return {
    operations: name === "square_sum"
      ? 2 * distinct(step, "read").reduce((sum, t) => sum + size(t), 0)
      : OPERATIONS[name]?.(sizes),
    bytes: BYTES[name]?.(step, sizes) ??
      distinct(step).reduce((sum, t) => sum + bytesOf(t), 0) + updatedBytes(step, names),
  };
}

/** square_sum binds a gradient again where it has fewer than six. */
function distinct({ kernel, tensors }: Step, only?: "read"): Tensor[] {
  const access = Object.values(kernel.bindings);
  return [...new Set(tensors.filter((_, i) => only === undefined || access[i] === only))];
}

function updatedBytes({ kernel, tensors }: Step, names: readonly string[]): number {
  const isUpdated = (name: string): boolean =>
    name.endsWith("_inout") ||
    (kernel.bindings[name] === "read_write" && (UPDATED.has(name) || kernel.constants.ACCUMULATE === true));
  return names.reduce((sum, name, i) => sum + (isUpdated(name) ? bytesOf(tensors[i]!) : 0), 0);
}
