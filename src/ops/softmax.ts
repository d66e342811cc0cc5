import { type Bindings, defineKernel, perThread } from "../gpu/kernel.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { Recorder } from "../plan/recorder.ts";
import { size, type Tensor } from "../plan/tensor.ts";
import { type AttentionSize, windowOf } from "./attention_operands.ts";
import { type AttentionWindow, windowConstants } from "./attention_window.ts";
import backwardCode from "../../shaders/softmax_backward.wgsl" with { type: "text" };
import backwardTiledCode from "../../shaders/softmax_backward_tiled.wgsl" with { type: "text" };
import forwardCode from "../../shaders/softmax.wgsl" with { type: "text" };
import forwardTiledCode from "../../shaders/softmax_tiled.wgsl" with { type: "text" };
import reduceCode from "../../shaders/lib/reduce.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };
import windowCode from "../../shaders/lib/attention_window.wgsl" with { type: "text" };

/** Both forms of a kernel over rows. Documents come with H, which gives the sequence of a row. */
const pair = <const R extends Bindings, const W extends Bindings>(
  name: string,
  [code, tiledCode]: readonly [string, string],
  reads: R,
  writes: W,
) => {
  const definition = {
    reads,
    writes,
    params: { n: "u32", T: "u32", H: "u32", window: "u32", scale: "f32" },
  } as const;
  return {
    portable: defineKernel({
      ...definition,
      name,
      code,
      libraries: [threadCode, windowCode],
      constants: { WORKGROUP: 16 },
      groups: perThread,
    }),
    tiled: defineKernel({
      ...definition,
      name: `${name}_tiled`,
      code: tiledCode,
      libraries: [reduceCode, windowCode],
      constants: { WORKGROUP: 64 },
      groups: ({ n }) => n,
    }),
  };
};

const forwardKernel = pair("softmax", [forwardCode, forwardTiledCode], { documents: "array<vec2u>?" }, {
  x_inout: "array<f32>",
});
const backwardKernel = pair(
  "softmax_backward",
  [backwardCode, backwardTiledCode],
  { y: "array<f32>", documents: "array<vec2u>?" },
  { dy_inout: "array<f32>" },
);

/** Both kernels specialised for a window. */
function seeing<K extends { with(constants: Constants): K }>(
  { portable, tiled }: { readonly portable: K; readonly tiled: K },
  window: AttentionWindow,
) {
  const constants = windowConstants(window);
  return { portable: portable.with(constants), tiled: tiled.with(constants) };
}

/**
 * Records softmax in place over the last dimension of x, (B, H, T, T), over the keys that each position sees; the rest
 * becomes 0.
 */
export function maskedSoftmax(r: Recorder, x: Tensor, of: AttentionSize): void {
  const { H, T, documents, window = T } = of, n = size(x) / T;
  r.run(seeing(forwardKernel, windowOf(of)), { x_inout: x, documents }, { n, T, H, window, scale: 1 });
}

/** Records the backward pass of maskedSoftmax in place: the gradient of y becomes that of x, times `scale`. */
export function maskedSoftmaxBackward(r: Recorder, y: Tensor, dy: Tensor, scale: number, of: AttentionSize): void {
  const { H, T, documents, window = T } = of, n = size(y) / T;
  r.run(seeing(backwardKernel, windowOf(of)), { y, dy_inout: dy, documents }, { n, T, H, window, scale });
}
