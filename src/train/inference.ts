import { isHeld, readAdapterConfig } from "../checkpoint/model/peft.ts";
import type { Pretrained } from "../checkpoint/model/pretrained.ts";
import type { Folder } from "../checkpoint/source/source.ts";
import type { Gpu } from "../gpu/device.ts";
import { freeze } from "../models/freeze.ts";
import { withLora } from "../models/lora.ts";
import { createModel, type Model, needsOf } from "../models/model.ts";
import type { WeightType } from "../models/parameter.ts";
import { ropeTableTensor } from "../models/rope_table.ts";
import { loaderOf } from "./fine_tuning.ts";
import { type Programs, recordEvaluate, recordGenerate } from "./programs.ts";
import { planPrograms, Trainer } from "./trainer.ts";

export interface InferenceOptions {
  readonly adapter?: Folder | undefined;
  /** Sequences at once, and tokens in each. */
  readonly B: number;
  readonly T: number;
  readonly packed: boolean;
  readonly purpose: "generate" | "evaluate";
}

/** A model that is only used: everything is frozen, in the formats of its files. */
export interface Opened {
  readonly model: Model;
  readonly trainer: Trainer;
}

/**
 * Loads a pretrained model, with an adapter if one is given, for one purpose.
 * @throws RangeError if it cannot be loaded, or has too few positions for T tokens.
 */
export async function openForInference(gpu: Gpu, pretrained: Pretrained, { adapter, B, T, packed, purpose }: InferenceOptions): Promise<Opened> {
  const plain = createModel(pretrained.json), config = adapter && await readAdapterConfig(adapter);
  // What was trained is not rounded to the format of the base.
  const storedAs = (name: string): WeightType => (config && isHeld(name, config.modules_to_save) ? "f32" : pretrained.storedAs(name));
  const model = freeze(config ? withLora(plain, config) : plain, { trains: () => false, storedAs, quantized: undefined });
  const needs = needsOf(model);
  if (T > needs.most) throw new RangeError(`Cannot use "max_length" ${T}: the model has positions for ${needs.most} tokens. Use a smaller one`);
  const rope_table = needs.rope === undefined ? undefined : ropeTableTensor(T, needs.rope);
  const options = { variant: gpu.variant, model, rope_table, B, T, packed };
  const programs: Programs = { rope_table, ...(purpose === "generate" ? { generate: recordGenerate(options) } : { evaluate: recordEvaluate(options) }) };
  if (purpose === "generate" && !programs.generate) throw new RangeError("Cannot generate with a model that classifies: expected one that predicts tokens. Use eval");
  const trainer = await Trainer.create(gpu, model, programs, planPrograms(programs), { load: loaderOf(pretrained, adapter) });
  return { model, trainer };
}
