import { defineKernel, perThread, ceilDiv } from "../gpu/kernel.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import backwardCode from "../../shaders/rms_norm_backward.wgsl" with { type: "text" };
import forwardCode from "../../shaders/rms_norm.wgsl" with { type: "text" };
import weightBackwardCode from "../../shaders/rms_norm_weight_backward.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const forwardKernel = defineKernel({
  name: "rms_norm",
  code: forwardCode,
  libraries: [threadCode],
  bindings: { x: "read", weight: "read", y: "read_write", inverse_rms: "read_write" },
  params: { n: "u32", C: "u32", eps: "f32" },
  constants: { WORKGROUP: 16 },
  groups: perThread,
});

const backwardKernel = defineKernel({
  name: "rms_norm_backward",
  code: backwardCode,
  libraries: [threadCode],
  bindings: { x: "read", weight: "read", inverse_rms: "read", dy: "read", dx: "read_write" },
  params: { n: "u32", C: "u32" },
  constants: { WORKGROUP: 16, ACCUMULATE: false },
  groups: perThread,
});

const weightBackwardKernel = defineKernel({
  name: "rms_norm_weight_backward",
  code: weightBackwardCode,
  libraries: [threadCode],
  bindings: { x: "read", inverse_rms: "read", dy: "read", dweight: "read_write" },
  params: { n: "u32", C: "u32" },
  constants: { WORKGROUP: 8, ACCUMULATE: false },
  groups: ({ C }, { WORKGROUP }) => ceilDiv(C, Number(WORKGROUP)),
});

/** Root mean square layer norm (Zhang & Sennrich, 2019): y = x / sqrt(mean(x²) + eps) * weight. x, y: (N, C), weight: (C). */
export function rmsNorm(r: Recorder, x: Variable, weight: Variable, eps: number): Variable {
  const [n, C] = x.value.shape as [number, number];
  const label = weight.value.label.replace(/\.weight$/, "");
  const y = { value: r.tensor(label, [n, C]), needsGradient: x.needsGradient || weight.needsGradient };
  const inverse_rms = r.tensor(`${label}.inverse_rms`, [n]);
  r.run(forwardKernel, { x: x.value, weight: weight.value, y: y.value, inverse_rms }, { n, C, eps });
  r.onBackward(y, [x, weight], (dy) => {
    const dWeight = r.gradientFor(weight);
    if (dWeight) r.run(weightBackwardKernel.with({ ACCUMULATE: dWeight.accumulate }), { x: x.value, inverse_rms, dy, dweight: dWeight.tensor }, { n, C });
    const dx = r.gradientFor(x);
    if (dx) r.run(backwardKernel.with({ ACCUMULATE: dx.accumulate }), { x: x.value, weight: weight.value, inverse_rms, dy, dx: dx.tensor }, { n, C });
  });
  return y;
}
