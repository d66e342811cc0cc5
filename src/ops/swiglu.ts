import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import { size } from "../plan/tensor.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import backwardCode from "../../shaders/swiglu_backward.wgsl" with { type: "text" };
import forwardCode from "../../shaders/swiglu.wgsl" with { type: "text" };
import siluCode from "../../shaders/lib/silu.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const forwardKernel = defineKernel({
  name: "swiglu",
  code: forwardCode,
  libraries: [threadCode, siluCode],
  reads: { gate: "numbers", up: "numbers" },
  writes: { y: "numbers" },
  params: { n: "u32" },
  constants: { WORKGROUP: 64, ...SCALAR },
  groups: perThread,
});

const backwardKernel = defineKernel({
  name: "swiglu_backward",
  code: backwardCode,
  libraries: [threadCode, siluCode],
  reads: { dy: "numbers" },
  writes: { gate_inout: "numbers", up_inout: "numbers" },
  params: { n: "u32" },
  constants: { WORKGROUP: 64, ...SCALAR },
  groups: perThread,
});

/**
 * y = silu(gate) * up (Shazeer, "GLU variants improve transformer", 2020), element by element. The backward pass writes
 * the gradients over gate and up themselves, so both must have no other user.
 */
export function swiglu(r: Recorder, gate: Variable, up: Variable): Variable {
  const { constants, width } = vectorsOf(size(gate.value));
  const n = size(gate.value) / width;
  const y = { value: r.activation("swiglu", gate.value.shape), needsGradient: gate.needsGradient || up.needsGradient };
  r.run(forwardKernel.with(constants), { gate: gate.value, up: up.value, y: y.value }, { n });
  r.onBackward(y, [gate, up], (dy) => {
    r.run(backwardKernel.with(constants), { dy, gate_inout: gate.value, up_inout: up.value }, { n });
    if (gate.needsGradient) r.setGradient(gate, gate.value);
    if (up.needsGradient) r.setGradient(up, up.value);
  });
  return y;
}
