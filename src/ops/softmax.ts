import { type Access, defineKernel, type Kernel, perThread, type Scalar } from "../gpu/kernel.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { Recorder } from "../plan/recorder.ts";
import { size, type Tensor } from "../plan/tensor.ts";
import { type AttentionSize, windowOf } from "./attention_operands.ts";
import { type AttentionWindow, PAST, windowConstants } from "./attention_window.ts";
import backwardCode from "../../shaders/softmax_backward.wgsl" with { type: "text" };
import backwardTiledCode from "../../shaders/softmax_backward_tiled.wgsl" with { type: "text" };
import forwardCode from "../../shaders/softmax.wgsl" with { type: "text" };
import forwardTiledCode from "../../shaders/softmax_tiled.wgsl" with { type: "text" };
import reduceCode from "../../shaders/lib/reduce.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };
import windowCode from "../../shaders/lib/attention_window.wgsl" with { type: "text" };

type Bindings = Readonly<Record<string, Access>>;
/** Parameters of a kernel over rows. Documents come with H, which gives the sequence of a row. */
type RowParams = Readonly<Record<string, Scalar>> & { readonly n: "u32" };

const windowText = (window: AttentionWindow): Constants => ({
  ...windowConstants(window, "keys"),
  SEQUENCE: window.documents ? "row / (params.T * params.H)" : "0u",
});

/** Both forms of a kernel. `window` must have documents if and only if bindings and parameters have. */
const pair = <const B extends Bindings, const P extends RowParams>(
  name: string,
  codes: readonly [string, string],
  bindings: B,
  params: P,
  window: AttentionWindow,
) => {
  const [code, tiledCode] = codes, definition = { bindings, params }, constants = windowText(window);
  return {
    portable: defineKernel({
      ...definition,
      name,
      code,
      libraries: [threadCode, windowCode],
      constants: { WORKGROUP: 16, ...constants },
      groups: perThread,
    }),
    tiled: defineKernel({
      ...definition,
      name: `${name}_tiled`,
      code: tiledCode,
      libraries: [reduceCode, windowCode],
      constants: { WORKGROUP: 64, ...constants },
      groups: ({ n }) => n,
    }),
  };
};

const documents: AttentionWindow = { ...PAST, documents: true };
const forwardCodes = [forwardCode, forwardTiledCode] as const;
const forwardBindings = { x_inout: "read_write" } as const, forwardParams = { n: "u32", T: "u32" } as const;
const sequenceForwardKernel = pair("softmax", forwardCodes, forwardBindings, forwardParams, PAST);
const documentsForwardKernel = pair("softmax", forwardCodes, { ...forwardBindings, documents: "read" }, {
  ...forwardParams,
  H: "u32",
}, documents);

const backwardCodes = [backwardCode, backwardTiledCode] as const;
const backwardBindings = { y: "read", dy_inout: "read_write" } as const,
  backwardParams = { n: "u32", T: "u32", scale: "f32" } as const;
const sequenceBackwardKernel = pair("softmax_backward", backwardCodes, backwardBindings, backwardParams, PAST);
const documentsBackwardKernel = pair("softmax_backward", backwardCodes, { ...backwardBindings, documents: "read" }, {
  ...backwardParams,
  H: "u32",
}, documents);

/** Both kernels specialised for a window. */
function seeing<B extends Bindings, P extends RowParams>(
  { portable, tiled }: { readonly portable: Kernel<B, P>; readonly tiled: Kernel<B, P> },
  window: AttentionWindow,
) {
  const text = windowText(window);
  return { portable: portable.with(text), tiled: tiled.with(text) };
}

type Window = Pick<AttentionSize, "H" | "T" | "causal" | "documents">;

/**
 * Records softmax in place over the last dimension of x, (B, H, T, T), over the keys that each position sees; the rest
 * becomes 0.
 */
export function maskedSoftmax(r: Recorder, x: Tensor, of: Window): void {
  const { H, T, documents } = of, window = windowOf(of), n = size(x) / T;
  if (documents) r.run(seeing(documentsForwardKernel, window), { x_inout: x, documents }, { n, T, H });
  else r.run(seeing(sequenceForwardKernel, window), { x_inout: x }, { n, T });
}

/** Records the backward pass of maskedSoftmax in place: the gradient of y becomes that of x, times `scale`. */
export function maskedSoftmaxBackward(r: Recorder, y: Tensor, dy: Tensor, scale: number, of: Window): void {
  const { H, T, documents } = of, window = windowOf(of), n = size(y) / T;
  if (documents) r.run(seeing(documentsBackwardKernel, window), { y, dy_inout: dy, documents }, { n, T, scale, H });
  else r.run(seeing(sequenceBackwardKernel, window), { y, dy_inout: dy }, { n, T, scale });
}
