import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import { size } from "../plan/tensor.ts";
import { moveGradient } from "./elementwise.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import backwardCode from "../../shaders/gelu_backward.wgsl" with { type: "text" };
import forwardCode from "../../shaders/gelu.wgsl" with { type: "text" };
import exactCode from "../../shaders/lib/gelu_exact.wgsl" with { type: "text" };
import tanhCode from "../../shaders/lib/gelu_tanh.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

/** The exact GELU, or its approximation by tanh. */
export type GeluForm = "exact" | "tanh";

const kernelsOf = (form: GeluForm, library: string) => {
  const common = {
    libraries: [threadCode, library],
    params: { n: "u32" },
    constants: { WORKGROUP: 64, ...SCALAR },
    groups: perThread,
  } as const;
  return {
    forward: defineKernel({
      ...common,
      name: `gelu_${form}`,
      code: forwardCode,
      reads: { x: "numbers" },
      writes: { y: "numbers" },
    }),
    backward: defineKernel({
      ...common,
      name: `gelu_${form}_backward`,
      code: backwardCode,
      reads: { x: "numbers" },
      writes: { dy_inout: "numbers" },
    }),
  };
};
const KERNELS = { exact: kernelsOf("exact", exactCode), tanh: kernelsOf("tanh", tanhCode) };

/**
 * Gaussian error linear unit (Hendrycks & Gimpel, 2016), element by element: "exact" is x (1 + erf(x / √2)) / 2, "tanh"
 * its approximation x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, which GPT-2 has (gelu_new). The backward pass writes
 * over y's gradient.
 */
export function gelu(r: Recorder, x: Variable, form: GeluForm): Variable {
  const { forward, backward } = KERNELS[form];
  const { constants, width } = vectorsOf(size(x.value));
  const n = size(x.value) / width;
  const y = { value: r.activation("gelu", x.value.shape), needsGradient: x.needsGradient };
  r.run(forward.with(constants), { x: x.value, y: y.value }, { n });
  r.onBackward(y, [x], (dy) => {
    r.run(backward.with(constants), { x: x.value, dy_inout: dy }, { n });
    moveGradient(r, dy, x);
  });
  return y;
}
