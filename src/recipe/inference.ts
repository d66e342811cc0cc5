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
import { type Programs, recordEvaluate, recordGenerate } from "../train/programs.ts";
import { type LoadWeights, planPrograms, Trainer } from "../train/trainer.ts";

export interface InferenceOptions {
  readonly adapter?: Folder | undefined;
  /** Sequences at once, and tokens in each. */
  readonly B: number;
  readonly T: number;
  readonly packed: boolean;
  /** As an adapter was trained on: the frozen weights of linear layers. */
  readonly quantized?: "int8" | "nf4" | undefined;
  readonly purpose: "generate" | "evaluate";
}

/** A model that is only used: everything is frozen, in the formats of its files. */
export interface Opened {
  readonly model: Model;
  readonly trainer: Trainer;
}

/**
 * Loads a pretrained model, with an adapter if one is given, for one purpose.
 * @throws RangeError if it cannot be loaded, lacks a head that was never trained, or has too few positions for T
 * tokens.
 */
export async function openForInference(
  gpu: Gpu,
  pretrained: Pretrained,
  { adapter, B, T, packed, quantized, purpose }: InferenceOptions,
): Promise<Opened> {
  const plain = createModel(pretrained.json), config = adapter && await readAdapterConfig(adapter);
  // What was trained is not rounded to the format of the base.
  const storedAs = (
    name: string,
  ): WeightType => (config && isHeld(name, config.modules_to_save) ? "f32" : pretrained.storedAs(name));
  const model = freeze(config ? withLora(plain, config) : plain, { trains: () => false, storedAs, quantized });
  const needs = needsOf(model);
  if (T > needs.most) {
    throw new RangeError(
      `Cannot use "max_length" ${T}: the model has positions for ${needs.most} tokens. Use a smaller one`,
    );
  }
  const rope_table = needs.rope === undefined ? undefined : ropeTableTensor(T, needs.rope);
  const options = { variant: gpu.variant, model, rope_table, B, T, packed };
  const programs: Programs = {
    rope_table,
    ...(purpose === "generate" ? { generate: recordGenerate(options) } : { evaluate: recordEvaluate(options) }),
  };
  if (purpose === "generate" && !programs.generate) {
    throw new RangeError("Cannot generate with a model that classifies: expected one that predicts tokens. Use eval");
  }
  const trainer = await Trainer.create(gpu, model, programs, planPrograms(programs), {
    load: complete(pretrained, loaderOf(pretrained, adapter)),
  });
  return { model, trainer };
}

/** A loader that leaves nothing out: what no file has was never trained. */
const complete = ({ folder }: Pretrained, load: LoadWeights): LoadWeights => async (executor, model) => {
  const loaded = await load(executor, model), missing = model.parameters.find((parameter) => !loaded.has(parameter));
  if (missing) {
    throw new RangeError(
      `Cannot use ${folder.name}: its files have no ${missing.value.label}, so it does not classify yet. Give the ` +
        "--adapter that was trained with it, or fine-tune it",
    );
  }
  return loaded;
};
