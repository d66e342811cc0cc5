import { defineKernel, perThread } from "../../gpu/kernel.ts";
import { memoize } from "../../gpu/memoize.ts";
import type { Recorder } from "../../plan/recorder.ts";
import { size, type Tensor } from "../../plan/tensor.ts";
import { type WeightForm, weightText } from "./weight.ts";
import applyCode from "../../../shaders/apply.wgsl" with { type: "text" };
import clipCode from "../../../shaders/lib/clip.wgsl" with { type: "text" };
import stepInputsCode from "../../../shaders/lib/step_inputs.wgsl" with { type: "text" };
import finiteCode from "../../../shaders/lib/finite.wgsl" with { type: "text" };
import scheduleCode from "../../../shaders/lib/schedule.wgsl" with { type: "text" };
import threadCode from "../../../shaders/lib/thread.wgsl" with { type: "text" };

const applyKernel = memoize((weight: WeightForm) => {
  const { constants, libraries } = weightText(weight);
  return defineKernel({
    name: "apply",
    code: applyCode,
    libraries: [threadCode, scheduleCode, stepInputsCode, clipCode, finiteCode, ...libraries],
    reads: { schedule: "Schedule", step_inputs: "StepInputs", clip: "Clip", delta: "array<Vector>" },
    writes: { parameter: "numbers" },
    params: { n: "u32", weight_decay: "f32", lr_scale: "f32", seed: "u32", purpose: "u32" },
    constants: { WORKGROUP: 64, ...constants },
    groups: perThread,
  });
});

/** Records parameter -= learning rate · lr_scale · delta, with weight decay: the last step of an update in several. */
export function recordApply(
  r: Recorder,
  tensors: Readonly<Record<"schedule" | "step_inputs" | "clip" | "delta" | "parameter", Tensor>>,
  weight: WeightForm,
  { weight_decay, lr_scale, key: [seed, purpose] }: {
    readonly weight_decay: number;
    readonly lr_scale: number;
    readonly key: readonly [number, number];
  },
): void {
  r.run(applyKernel(weight), tensors, {
    n: size(tensors.parameter) / weight.width,
    weight_decay,
    lr_scale,
    seed,
    purpose,
  });
}
