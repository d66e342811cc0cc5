import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import { size } from "../plan/tensor.ts";
import { moveGradient } from "./elementwise.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import backwardCode from "../../shaders/tanh_backward.wgsl" with { type: "text" };
import forwardCode from "../../shaders/tanh.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const common = {
  libraries: [threadCode],
  params: { n: "u32" },
  constants: { WORKGROUP: 64, ...SCALAR },
  groups: perThread,
} as const;
const forwardKernel = defineKernel({
  ...common,
  name: "tanh",
  code: forwardCode,
  reads: { x: "numbers" },
  writes: { y: "numbers" },
});
const backwardKernel = defineKernel({
  ...common,
  name: "tanh_backward",
  code: backwardCode,
  reads: { y: "numbers" },
  writes: { dy_inout: "numbers" },
});

/** y = tanh(x), element by element. The backward pass reads y and writes over its gradient. */
export function tanh(r: Recorder, x: Variable): Variable {
  const { constants, width } = vectorsOf(size(x.value));
  const n = size(x.value) / width;
  const y = { value: r.activation("tanh", x.value.shape), needsGradient: x.needsGradient };
  r.run(forwardKernel.with(constants), { x: x.value, y: y.value }, { n });
  r.onBackward(y, [x], (dy) => {
    r.run(backwardKernel.with(constants), { y: y.value, dy_inout: dy }, { n });
    moveGradient(r, dy, x);
  });
  return y;
}
