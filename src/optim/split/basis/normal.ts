import { ceilDiv, defineKernel, perThread } from "../../../gpu/kernel.ts";
import { purposeKey } from "../../../random/philox.ts";
import type { Recorder } from "../../../plan/recorder.ts";
import { size, type Tensor } from "../../../plan/tensor.ts";
import stepInputsCode from "../../../../shaders/lib/step_inputs.wgsl" with { type: "text" };
import philoxCode from "../../../../shaders/lib/philox.wgsl" with { type: "text" };
import randomNormalCode from "../../../../shaders/random_normal.wgsl" with { type: "text" };
import threadCode from "../../../../shaders/lib/thread.wgsl" with { type: "text" };

const randomNormalKernel = defineKernel({
  name: "random_normal",
  code: randomNormalCode,
  libraries: [threadCode, stepInputsCode, philoxCode],
  reads: { step_inputs: "StepInputs" },
  writes: { out: "array<f32>" },
  params: { n: "u32", size: "u32", key0: "u32", key1: "u32", deviation: "f32" },
  constants: { WORKGROUP: 64 },
  groups: perThread,
});

/** A stream of random numbers: parameters that must not share theirs differ in purpose. */
export interface RandomStream {
  readonly seed: number;
  readonly purpose: string;
}

/**
 * Fills `out` with normal(0, deviation²) numbers (Box & Muller, 1958), a pure function of seed, purpose,
 * step_inputs.drawn and index, so nothing need be stored. Adapters round sin, cos and log differently, so the bits are
 * those of one adapter.
 * @param step_inputs (8) u32, see shaders/lib/step_inputs.wgsl.
 */
export function randomNormal(
  r: Recorder,
  out: Tensor,
  step_inputs: Tensor,
  { deviation, seed, purpose }: RandomStream & { readonly deviation: number },
): void {
  const [key0, key1] = purposeKey(seed, purpose);
  r.run(randomNormalKernel, { step_inputs, out }, { n: ceilDiv(size(out), 4), size: size(out), key0, key1, deviation });
}
