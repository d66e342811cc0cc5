import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { Recorder } from "../plan/recorder.ts";
import { size, type Tensor } from "../plan/tensor.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import addBiasCode from "../../shaders/add_bias.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const addBiasKernel = defineKernel({
  name: "add_bias",
  code: addBiasCode,
  libraries: [threadCode],
  reads: { bias: "numbers" },
  writes: { y_inout: "numbers" },
  params: { n: "u32", C: "u32" },
  constants: { WORKGROUP: 64, ...SCALAR },
  groups: perThread,
});

/** y += bias, in place. y: (N, C), bias: (C). Its gradient is biasBackward(). */
export function addBias(r: Recorder, y: Tensor, bias: Tensor): void {
  const { constants, width } = vectorsOf(size(bias));
  r.run(addBiasKernel.with(constants), { bias, y_inout: y }, { n: size(y) / width, C: size(bias) / width });
}
