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
import threadCode from "../../../shaders/lib/thread.wgsl" with { type: "text" };
import vectorCode from "../../../shaders/lib/vector.wgsl" with { type: "text" };

const squareSumKernel = defineKernel({
  name: "square_sum",
  code: squareSumCode,
  libraries: [threadCode, vectorCode],
  bindings: { g0: "read", g1: "read", g2: "read", g3: "read", g4: "read", g5: "read", partial_sum: "read_write" },
  params: {
    n: "u32",
    first: "u32",
    size0: "u32",
    size1: "u32",
    size2: "u32",
    size3: "u32",
    size4: "u32",
    size5: "u32",
  },
  constants: { WORKGROUP: 16, ...SCALAR },
  groups: perThread,
});

const clipNorm = {
  bindings: { partial_sum: "read", clip: "read_write" },
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
/** Elements that one thread of square_sum adds up, as a rule. */
const ELEMENTS_PER_THREAD = 256;
/** Partial sums in all: on llvmpipe (Mesa 22.3) a thread's loops end after 65 535 turns, without an error. */
const MAX_PARTIAL_SUMS = 32768;

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
  const threads = Math.min(ceilDiv(MAX_PARTIAL_SUMS, launches), ceilDiv(elements, launches * ELEMENTS_PER_THREAD));
  const partial_sum = r.tensor("partial sums", [launches * threads], "scratch");
  let first = 0;
  return {
    add(gradients) {
      for (let i = 0; i < gradients.length; i += GRADIENTS_PER_LAUNCH) {
        const some = gradients.slice(i, i + GRADIENTS_PER_LAUNCH);
        const { constants, width } = vectorsOf(some.every((gradient) => size(gradient) % 4 === 0) ? 4 : 1);
        const slot = (s: number): Tensor => some[s] ?? some[0]!;
        const sizeOf = (s: number): number => (some[s] ? size(some[s]) / width : 0);
        r.run(
          squareSumKernel.with(constants),
          { g0: slot(0), g1: slot(1), g2: slot(2), g3: slot(3), g4: slot(4), g5: slot(5), partial_sum },
          {
            n: threads,
            first,
            size0: sizeOf(0),
            size1: sizeOf(1),
            size2: sizeOf(2),
            size3: sizeOf(3),
            size4: sizeOf(4),
            size5: sizeOf(5),
          },
        );
        first += threads;
      }
    },
    finish(max_norm) {
      const clip = r.tensor("clip", [3], "scratch", "u32");
      r.run(clipNormKernel, { partial_sum, clip }, { n: launches * threads, max_norm });
      return clip;
    },
  };
}
