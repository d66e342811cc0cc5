import { defineKernel, perThread } from "../gpu/kernel.ts";
import { SCALAR, vectorsOf } from "../ops/vector.ts";
import { size } from "../plan/tensor.ts";
import type { UpdateRule } from "./rule.ts";
import clipCode from "../../shaders/lib/clip.wgsl" with { type: "text" };
import finiteCode from "../../shaders/lib/finite.wgsl" with { type: "text" };
import scheduleCode from "../../shaders/lib/schedule.wgsl" with { type: "text" };
import signSgdCode from "../../shaders/sign_sgd.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const signSgdKernel = defineKernel({
  name: "sign_sgd",
  code: signSgdCode,
  libraries: [threadCode, scheduleCode, clipCode, finiteCode],
  bindings: { schedule: "read", clip: "read", gradient: "read", parameter: "read_write" },
  params: { n: "u32", weight_decay: "f32" },
  constants: { WORKGROUP: 64, ...SCALAR },
  groups: perThread,
});

/** signSGD (Bernstein et al., 2018): every weight moves by the learning rate, against the sign of its gradient. No state. */
export function signSgd({ weight_decay }: { readonly weight_decay: number }): UpdateRule {
  return {
    state: [],
    record(r, parameter, gradient, _state, inputs) {
      const { constants, width } = vectorsOf(size(gradient));
      r.run(signSgdKernel.with(constants), { ...inputs, gradient, parameter: parameter.value }, { n: size(gradient) / width, weight_decay });
    },
  };
}
