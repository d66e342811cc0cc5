import { defineKernel, perThread } from "../gpu/kernel.ts";
import { SCALAR, vectorsOf } from "../ops/vector.ts";
import { size } from "../plan/tensor.ts";
import type { UpdateRule } from "./rule.ts";
import adamwCode from "../../shaders/adamw.wgsl" with { type: "text" };
import clipCode from "../../shaders/lib/clip.wgsl" with { type: "text" };
import finiteCode from "../../shaders/lib/finite.wgsl" with { type: "text" };
import scheduleCode from "../../shaders/lib/schedule.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const adamwKernel = defineKernel({
  name: "adamw",
  code: adamwCode,
  libraries: [threadCode, scheduleCode, clipCode, finiteCode],
  bindings: { schedule: "read", clip: "read", gradient: "read", parameter: "read_write", m: "read_write", v: "read_write" },
  params: { n: "u32", beta1: "f32", beta2: "f32", eps: "f32", weight_decay: "f32" },
  constants: { WORKGROUP: 64, ...SCALAR },
  groups: perThread,
});

export interface AdamW {
  readonly adam_beta1: number;
  readonly adam_beta2: number;
  readonly adam_epsilon: number;
  readonly weight_decay: number;
}

/** Adam with decoupled weight decay (Loshchilov & Hutter, 2019), epsilon outside the bias correction as in PyTorch. */
export function adamw({ adam_beta1: beta1, adam_beta2: beta2, adam_epsilon: eps, weight_decay }: AdamW): UpdateRule {
  return {
    state: ["m", "v"],
    record(r, parameter, gradient, [m, v], inputs) {
      const { constants, width } = vectorsOf(size(gradient));
      r.run(adamwKernel.with(constants), { ...inputs, gradient, parameter: parameter.value, m: m!, v: v! }, { n: size(gradient) / width, beta1, beta2, eps, weight_decay });
    },
  };
}
