import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import { size, type Tensor } from "../plan/tensor.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import scaleCode from "../../shaders/scale.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const scaleKernel = defineKernel({
  name: "scale",
  code: scaleCode,
  libraries: [threadCode],
  reads: {},
  writes: { x_inout: "numbers" },
  params: { n: "u32", factor: "f32" },
  constants: { WORKGROUP: 64, ...SCALAR },
  groups: perThread,
});

/** x = factor x, in place on the value, and in the backward pass on its gradient. x must have no reader before this. */
export function scale(r: Recorder, x: Variable, factor: number): void {
  const multiply = (x_inout: Tensor): void => {
    const { constants, width } = vectorsOf(size(x_inout));
    r.run(scaleKernel.with(constants), { x_inout }, { n: size(x_inout) / width, factor });
  };
  multiply(x.value);
  r.onBackward(x, [], multiply);
}
