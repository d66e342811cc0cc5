import { mergedWeight } from "../models/lora.ts";
import type { Model } from "../models/architecture.ts";
import { initialValues } from "../models/parameter.ts";
import { linearLayers } from "../models/parts.ts";
import type { Executor } from "../plan/executor.ts";
import { size } from "../plan/tensor.ts";
import type { StepHook } from "./step_hook.ts";

/**
 * Adds each adapter to the weight beside it, then draws a new A and makes B zeros, so that the sum of several low-rank
 * steps may have full rank (ReLoRA, Lialin et al., 2023, guitaricet/relora). Done on the host, layer by layer, with one
 * CPU-GPU sync point a layer.
 */
export async function mergeAdapters(executor: Executor, model: Model, seed: number, step: number): Promise<void> {
  for (const layer of linearLayers(model)) {
    const { weight, lora } = layer;
    if (!lora) continue;
    const [w, a, b] = await Promise.all([
      executor.read(weight.value),
      executor.read(lora.a.value),
      executor.read(lora.b.value),
    ]);
    executor.write(weight.value, mergedWeight(layer, w, a, b));
    const renamed = { ...lora.a, value: { ...lora.a.value, label: `${lora.a.value.label} ${step}` } };
    executor.write(lora.a.value, initialValues(renamed, seed));
    executor.write(lora.b.value, new Float32Array(size(lora.b.value)));
  }
}

/** Merges the adapters every so many steps, after which all moments begin again. CPU-GPU sync points. */
export const reloraHook = (every: number, seed: number): StepHook => ({
  every,
  restartsMoments: true,
  before: ({ executor, model, steps }) => mergeAdapters(executor, model, seed, steps),
});
