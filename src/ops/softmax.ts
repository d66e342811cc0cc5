import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { Recorder } from "../plan/recorder.ts";
import { size, type Tensor } from "../plan/tensor.ts";
import backwardCode from "../../shaders/softmax_backward.wgsl" with { type: "text" };
import backwardTiledCode from "../../shaders/softmax_backward_tiled.wgsl" with { type: "text" };
import forwardCode from "../../shaders/softmax.wgsl" with { type: "text" };
import forwardTiledCode from "../../shaders/softmax_tiled.wgsl" with { type: "text" };
import reduceCode from "../../shaders/lib/reduce.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const forward = { bindings: { x_inout: "read_write" }, params: { n: "u32", T: "u32" } } as const;
const forwardKernel = {
  portable: defineKernel({ ...forward, name: "softmax", code: forwardCode, libraries: [threadCode], constants: { WORKGROUP: 16 }, groups: perThread }),
  tiled: defineKernel({ ...forward, name: "softmax_tiled", code: forwardTiledCode, libraries: [reduceCode], constants: { WORKGROUP: 64 }, groups: ({ n }) => n }),
};

const backward = { bindings: { y: "read", dy_inout: "read_write" }, params: { n: "u32", T: "u32", scale: "f32" } } as const;
const backwardKernel = {
  portable: defineKernel({ ...backward, name: "softmax_backward", code: backwardCode, libraries: [threadCode], constants: { WORKGROUP: 16 }, groups: perThread }),
  tiled: defineKernel({ ...backward, name: "softmax_backward_tiled", code: backwardTiledCode, libraries: [reduceCode], constants: { WORKGROUP: 64 }, groups: ({ n }) => n }),
};

/** Records softmax in place over the last dimension of x: (…, T, T), where position t has t + 1 numbers; the rest becomes 0. */
export function causalSoftmax(r: Recorder, x: Tensor): void {
  const T = x.shape.at(-1)!;
  r.run(forwardKernel, { x_inout: x }, { n: size(x) / T, T });
}

/** Records its backward in place: the gradient of y = causalSoftmax(x) becomes that of x, times `scale`. */
export function causalSoftmaxBackward(r: Recorder, y: Tensor, dy: Tensor, scale: number): void {
  const T = y.shape.at(-1)!;
  r.run(backwardKernel, { y, dy_inout: dy }, { n: size(y) / T, T, scale });
}
