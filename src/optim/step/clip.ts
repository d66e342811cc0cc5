import { ceilDiv, defineKernel, perThread } from "../../gpu/kernel.ts";
import { SCALAR, vectorsOf } from "../../ops/vector.ts";
import type { Recorder } from "../../plan/recorder.ts";
import { size, type Tensor, tensor } from "../../plan/tensor.ts";
import clipCode from "../../../shaders/lib/clip.wgsl" with { type: "text" };
import clipNormCode from "../../../shaders/clip_norm.wgsl" with { type: "text" };
import clipNormTiledCode from "../../../shaders/clip_norm_tiled.wgsl" with { type: "text" };
import finiteCode from "../../../shaders/lib/finite.wgsl" with { type: "text" };
import reduceCode from "../../../shaders/lib/reduce.wgsl" with { type: "text" };
import squareSumCode from "../../../shaders/square_sum.wgsl" with { type: "text" };
import squareSumTiledCode from "../../../shaders/square_sum_tiled.wgsl" with { type: "text" };
import threadCode from "../../../shaders/lib/thread.wgsl" with { type: "text" };
import vectorCode from "../../../shaders/lib/vector.wgsl" with { type: "text" };

const squareSum = {
  reads: { g0: "numbers?", g1: "numbers?", g2: "numbers?", g3: "numbers?", g4: "numbers?", g5: "numbers?" },
  writes: { partial_sum: "array<f32>" },
  params: {
    n: "u32",
    groups: "u32",
    first: "u32",
    size0: "u32",
    size1: "u32",
    size2: "u32",
    size3: "u32",
    size4: "u32",
    size5: "u32",
  },
} as const;
const squareSumKernel = {
  portable: defineKernel({
    ...squareSum,
    name: "square_sum",
    code: squareSumCode,
    libraries: [threadCode, vectorCode],
    constants: { WORKGROUP: 16, ...SCALAR },
    groups: perThread,
  }),
  tiled: defineKernel({
    ...squareSum,
    name: "square_sum_tiled",
    code: squareSumTiledCode,
    libraries: [reduceCode, vectorCode],
    constants: { WORKGROUP: 256, ...SCALAR },
    groups: ({ groups }) => groups,
  }),
};

const clipNorm = {
  reads: { partial_sum: "array<f32>" },
  writes: { clip: "Clip" },
  params: { n: "u32", max_norm: "f32" },
  groups: () => 1,
} as const;
const clipNormKernel = {
  portable: defineKernel({
    ...clipNorm,
    name: "clip_norm",
    code: clipNormCode,
    libraries: [clipCode, finiteCode],
    constants: SCALAR,
  }),
  tiled: defineKernel({
    ...clipNorm,
    name: "clip_norm_tiled",
    code: clipNormTiledCode,
    libraries: [clipCode, finiteCode, reduceCode],
    constants: { WORKGROUP: 256, ...SCALAR },
  }),
};

/** Gradients that one launch of square_sum takes: WebGPU guarantees eight storage buffers. */
const GRADIENTS_PER_LAUNCH = 6;
/**
 * Numbers that a partial sum has, as a rule, and partial sums in all, at most. The portable kernel has a thread for
 * each, and one thread adds them up: on llvmpipe (Mesa 22.3) a thread's loops end after 65 535 turns, without an error.
 * The tiled one has a workgroup of 256 for each, whose threads load four times four numbers at once; 1024 workgroups
 * fill a GPU of 128 multiprocessors.
 */
const SHARE = { portable: 256, tiled: 256 * 16 }, MOST_SUMS = 32768, MOST_GROUPS = 1024;

/** Partial sums of each of `launches` launches over so many elements. */
function sumsOf(r: Recorder, launches: number, elements: number): number {
  const isTiled = r.target === "tiled", share = isTiled ? SHARE.tiled : SHARE.portable;
  const most = isTiled ? MOST_GROUPS : ceilDiv(MOST_SUMS, launches);
  return Math.min(most, ceilDiv(elements, launches * share));
}

/**
 * A `Clip` that changes nothing, for updates recorded before the global norm can be known. Written once by the host.
 */
export const noClip = (): Tensor => tensor("no clip", [3], "input", "u32");
export const NO_CLIP: Uint32Array<ArrayBuffer> = new Uint32Array(new Float32Array([0, 1, 0]).buffer);

export interface GradientNorm {
  /** Records the sums of squares of some of the gradients. */
  add(gradients: readonly Tensor[]): void;
  /** Records the `Clip` of the step, once all were added. `max_grad_norm` 0 measures the norm without clipping. */
  finish(max_grad_norm: number): Tensor;
}

/**
 * Global gradient norm and clipping without a read-back (Pascanu et al., 2013; PyTorch's clip_grad_norm_).
 * @param sizes elements of each gradient that will be added, all `together` in one call or one at a time.
 */
export function gradientNorm(r: Recorder, sizes: readonly number[], together: boolean): GradientNorm {
  const launches = together ? ceilDiv(sizes.length, GRADIENTS_PER_LAUNCH) : sizes.length;
  const elements = sizes.reduce((a, b) => a + b, 0);
  const sums = sumsOf(r, launches, elements);
  const partial_sum = r.tensor("partial sums", [launches * sums], "scratch");
  let first = 0;
  return {
    add(gradients) {
      for (let i = 0; i < gradients.length; i += GRADIENTS_PER_LAUNCH) {
        const some = gradients.slice(i, i + GRADIENTS_PER_LAUNCH);
        const { constants, width } = vectorsOf(some.every((gradient) => size(gradient) % 4 === 0) ? 4 : 1);
        const sizeOf = (s: number): number => (some[s] ? size(some[s]) / width : 0);
        r.run(
          { portable: squareSumKernel.portable.with(constants), tiled: squareSumKernel.tiled.with(constants) },
          { g0: some[0]!, g1: some[1], g2: some[2], g3: some[3], g4: some[4], g5: some[5], partial_sum },
          {
            n: sums,
            groups: sums,
            first,
            size0: sizeOf(0),
            size1: sizeOf(1),
            size2: sizeOf(2),
            size3: sizeOf(3),
            size4: sizeOf(4),
            size5: sizeOf(5),
          },
        );
        first += sums;
      }
    },
    finish(max_norm) {
      const clip = r.tensor("clip", [3], "scratch", "u32");
      r.run(clipNormKernel, { partial_sum, clip }, { n: launches * sums, max_norm });
      return clip;
    },
  };
}
