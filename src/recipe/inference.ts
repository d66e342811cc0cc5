import { isHeld, readAdapterConfig } from "../checkpoint/model/peft_adapter.ts";
import type { Pretrained } from "../checkpoint/model/pretrained.ts";
import type { Folder } from "../checkpoint/source/source.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Model } from "../models/architecture.ts";
import { freeze } from "../models/freeze.ts";
import { withLora } from "../models/lora.ts";
import { createModel } from "../models/model.ts";
import type { WeightType } from "../models/parameter.ts";
import {
  type EvaluateProgram,
  type ForwardOptions,
  type GenerateProgram,
  planPrograms,
  recordEvaluate,
  recordGenerate,
  tablesOf,
} from "../train/programs.ts";
import { type LoadWeights, Session } from "../train/session.ts";
import { loaderOf } from "./fine_tuning.ts";

/** Options of a session without training. */
export interface InferenceOptions {
  /** An adapter's folder, laid over the model. */
  readonly adapter?: Folder | undefined;
  /** Sequences at once. */
  readonly B: number;
  /** Tokens in each. */
  readonly T: number;
  /** True if texts are laid end to end. */
  readonly packed: boolean;
  /** Format of the frozen weights of linear layers: the one that an adapter was trained on. */
  readonly quantized?: "int8" | "nf4" | undefined;
}

/** A pretrained model that is loaded for one purpose. Everything is frozen, in the formats of its files. */
export interface Opened<P> {
  /** The model on the GPU. */
  readonly session: Session;
  /** The program that the session runs. */
  readonly program: P;
}

/**
 * Loads a pretrained model, with an adapter if one is given, to evaluate it.
 * @throws RangeError if it cannot be loaded, lacks a head that was never trained, or has too few positions for T
 * tokens.
 */
export async function openForEvaluation(
  gpu: Gpu,
  pretrained: Pretrained,
  options: InferenceOptions,
): Promise<Opened<EvaluateProgram>> {
  const forward = await frozenModel(gpu, pretrained, options);
  return await open(gpu, pretrained, options, forward.model, recordEvaluate(forward), "evaluate");
}

/**
 * Loads a pretrained language model, with an adapter if one is given, to generate text.
 * @throws RangeError as `openForEvaluation`, and for a model that classifies.
 */
export async function openForGeneration(
  gpu: Gpu,
  pretrained: Pretrained,
  options: Omit<InferenceOptions, "B" | "packed">,
): Promise<Opened<GenerateProgram>> {
  const whole = { ...options, B: 1, packed: false };
  const forward = await frozenModel(gpu, pretrained, whole), program = recordGenerate(forward);
  if (program) return await open(gpu, pretrained, whole, forward.model, program, "generate");
  throw new RangeError("Cannot generate with a model that classifies: expected one that predicts tokens. Use eval");
}

async function frozenModel(
  { target }: Gpu,
  pretrained: Pretrained,
  { adapter, B, T, packed, quantized }: InferenceOptions,
): Promise<ForwardOptions> {
  const plain = createModel(pretrained.json, { architecture: pretrained.architecture }),
    config = adapter && await readAdapterConfig(adapter);
  // Modules that an adapter holds whole keep their f32: they are not rounded to the format of the base.
  const storedAs = (name: string): WeightType =>
    config && isHeld(name, config.modules_to_save) ? "f32" : pretrained.storedAs(name);
  const model = freeze(config ? withLora(plain, config) : plain, { trains: () => false, storedAs, quantized });
  const maxLength = model.architecture.maxLength(model.config);
  if (T > maxLength) {
    throw new RangeError(
      `Cannot use "max_length" ${T}: the model has positions for ${maxLength} tokens. Use a smaller one`,
    );
  }
  return { target, model, tables: tablesOf(model, T), B, T, packed };
}

async function open<P extends EvaluateProgram | GenerateProgram>(
  gpu: Gpu,
  pretrained: Pretrained,
  { adapter }: InferenceOptions,
  model: Model,
  program: P,
  name: "evaluate" | "generate",
): Promise<Opened<P>> {
  const load = complete(pretrained, loaderOf(pretrained, adapter));
  return { session: await Session.open(gpu, model, [program], planPrograms({ [name]: program }), { load }), program };
}

/** A loader that leaves nothing out: a parameter that no file has was never trained. */
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
