import { defineKernel, perThread } from "../gpu/kernel.ts";
import { SCALAR, vectorsOf } from "../ops/vector.ts";
import { size } from "../plan/tensor.ts";
import type { UpdateRule } from "./rule.ts";
import clipCode from "../../shaders/lib/clip.wgsl" with { type: "text" };
import finiteCode from "../../shaders/lib/finite.wgsl" with { type: "text" };
import scheduleCode from "../../shaders/lib/schedule.wgsl" with { type: "text" };
import sgdCode from "../../shaders/sgd.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const sgdKernel = defineKernel({
  name: "sgd",
  code: sgdCode,
  libraries: [threadCode, scheduleCode, clipCode, finiteCode],
  bindings: { schedule: "read", clip: "read", gradient: "read", parameter: "read_write", momentum: "read_write" },
  params: { n: "u32", mu: "f32", weight_decay: "f32" },
  constants: { WORKGROUP: 64, NESTEROV: false, ...SCALAR },
  groups: perThread,
});

export interface Sgd {
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weight_decay: number;
}

/** Stochastic gradient descent with momentum (Polyak, 1964) or Nesterov's, as in PyTorch but with decoupled weight decay. */
export function sgd({ momentum: mu, nesterov, weight_decay }: Sgd): UpdateRule {
  return {
    state: ["momentum"],
    record(r, parameter, gradient, [momentum], inputs) {
      const { constants, width } = vectorsOf(size(gradient));
      r.run(sgdKernel.with({ ...constants, NESTEROV: nesterov }), { ...inputs, gradient, parameter: parameter.value, momentum: momentum! }, { n: size(gradient) / width, mu, weight_decay });
    },
  };
}
