import { ceilDiv, defineKernel, perThread } from "../gpu/kernel.ts";
import type { GradientTarget, Recorder, Variable } from "../plan/recorder.ts";
import { size, type Tensor } from "../plan/tensor.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import dropoutCode from "../../shaders/dropout.wgsl" with { type: "text" };
import philoxCode from "../../shaders/lib/philox.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const dropoutKernel = defineKernel({
  name: "dropout",
  code: dropoutCode,
  libraries: [threadCode, philoxCode],
  reads: { mask_counter: "array<u32>", x: "numbers" },
  writes: { out: "numbers" },
  params: { n: "u32", size: "u32", key0: "u32", key1: "u32", limit: "u32", scale: "f32" },
  constants: { WORKGROUP: 64, ACCUMULATE: false, ...SCALAR },
  groups: perThread,
});

/** Dropout of a share p of the numbers, by a mask that is a function of key, step, micro-batch and place. */
export interface Dropout {
  /** Share of the values that are dropped. */
  readonly p: number;
  /** purposeKey() of the run's seed and the name of the layer: layers that must not share a mask differ in it. */
  readonly key: readonly [number, number];
  /** (2) u32, an input: step, micro-batch. Micro-batch 0 has the words of randomWords(). */
  readonly mask_counter: Tensor;
}

/**
 * Inverted dropout (Srivastava et al., 2014): y = x / (1 - p) where a number is kept, else 0. The mask is never stored:
 * the backward pass draws it again, and so does a layer that is recorded twice. Outside of training, or with p = 0, it
 * is x itself.
 * @throws RangeError if p is not in [0, 1).
 */
export function dropout(r: Recorder, x: Variable, { p, key, mask_counter }: Dropout): Variable {
  if (!(p >= 0 && p < 1)) {
    throw new RangeError(
      `Cannot record dropout() of ${x.value.label} with p = ${p}: expected a number from 0, below 1`,
    );
  }
  if (!r.training || p === 0) return x;
  const mask = (from: Tensor, { tensor: out, accumulate }: GradientTarget): void => {
    const limit = Math.min(0xffffffff, Math.round(p * 2 ** 32));
    const params = { n: ceilDiv(size(out), 4), size: size(out), key0: key[0], key1: key[1], limit, scale: 1 / (1 - p) };
    r.run(
      dropoutKernel.with({ ...vectorsOf(size(out)).constants, ACCUMULATE: accumulate }),
      { mask_counter, x: from, out },
      params,
    );
  };
  const y = { value: r.activation("dropout", x.value.shape), needsGradient: x.needsGradient };
  mask(x.value, { tensor: y.value, accumulate: false });
  r.onBackward(y, [x], (dy) => mask(dy, r.gradientFor(x)!));
  return y;
}
