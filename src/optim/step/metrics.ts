import { defineKernel } from "../../gpu/kernel.ts";
import type { Recorder } from "../../plan/recorder.ts";
import { size, type Tensor, tensor } from "../../plan/tensor.ts";
import clipCode from "../../../shaders/lib/clip.wgsl" with { type: "text" };
import metricsCode from "../../../shaders/metrics.wgsl" with { type: "text" };
import metricsTiledCode from "../../../shaders/metrics_tiled.wgsl" with { type: "text" };
import reduceCode from "../../../shaders/lib/reduce.wgsl" with { type: "text" };
import scheduleCode from "../../../shaders/lib/schedule.wgsl" with { type: "text" };

/**
 * Losses in a turn of the loop. On llvmpipe (Mesa 22.3) a thread's loops end after 65 535 turns, without an error:
 * these are a million tokens.
 */
const UNROLL = 16;

const definition = {
  reads: { schedule: "Schedule", clip: "Clip", loss: "array<f32>" },
  writes: { metrics: "array<f32>" },
  params: { n: "u32" },
  groups: () => 1,
} as const;
const metricsKernel = {
  portable: defineKernel({
    ...definition,
    name: "metrics",
    code: metricsCode,
    libraries: [scheduleCode, clipCode],
    constants: { UNROLL },
  }),
  tiled: defineKernel({
    ...definition,
    name: "metrics_tiled",
    code: metricsTiledCode,
    libraries: [scheduleCode, clipCode, reduceCode],
    constants: { WORKGROUP: 256 },
  }),
};

/** Numbers of a step in `metrics`: loss, gradient norm, 1 if the update was skipped. */
export const METRICS = 3;

/** The ring of metrics: (rows, METRICS). */
export const metricsTensor = (rows: number): Tensor => tensor("metrics", [rows, METRICS], "output");

/**
 * Records the metrics of a step into a ring of rows, to be read every so often: a read-back stalls the GPU.
 */
export function recordMetrics(
  r: Recorder,
  tensors: Readonly<Record<"schedule" | "clip" | "loss" | "metrics", Tensor>>,
): void {
  r.run(metricsKernel, tensors, { n: size(tensors.loss) });
}
