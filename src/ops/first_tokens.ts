import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import backwardCode from "../../shaders/first_tokens_backward.wgsl" with { type: "text" };
import forwardCode from "../../shaders/first_tokens.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const common = { libraries: [threadCode], params: { n: "u32", T: "u32", C: "u32" }, groups: perThread } as const;
const forwardKernel = defineKernel({
  ...common,
  name: "first_tokens",
  code: forwardCode,
  reads: { x: "numbers" },
  writes: { y: "numbers" },
  constants: { WORKGROUP: 64, ...SCALAR },
});
const backwardKernel = defineKernel({
  ...common,
  name: "first_tokens_backward",
  code: backwardCode,
  reads: { dy: "numbers" },
  writes: { dx: "numbers" },
  constants: { WORKGROUP: 64, ACCUMULATE: false, ...SCALAR },
});

/** The hidden state of token 0 of each of B sequences of T tokens, for a classifier. x: (B*T, C), y: (B, C). */
export function firstTokens(r: Recorder, x: Variable, { B, T }: { readonly B: number; readonly T: number }): Variable {
  const C = x.value.shape[1]!;
  const { constants, width } = vectorsOf(C);
  const y = { value: r.activation("first_tokens", [B, C]), needsGradient: x.needsGradient };
  r.run(forwardKernel.with(constants), { x: x.value, y: y.value }, { n: (B * C) / width, T, C: C / width });
  r.onBackward(y, [x], (dy) => {
    const { tensor: dx, accumulate } = r.gradientFor(x)!;
    r.run(backwardKernel.with({ ...constants, ACCUMULATE: accumulate }), { dy, dx }, {
      n: (B * T * C) / width,
      T,
      C: C / width,
    });
  });
  return y;
}
