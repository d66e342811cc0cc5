import { openPretrained, type Pretrained } from "../checkpoint/model/pretrained.ts";
import type { Folder } from "../checkpoint/source/source.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Architecture } from "../models/architecture.ts";
import { classesOf, createModel } from "../models/model.ts";
import type { TrainingConfig } from "../recipe/config/training_config.ts";
import { wholeData } from "../recipe/data.ts";
import { type FineTuningSources, withClassesOf } from "../recipe/fine_tuning.ts";
import { type Opened, openForEvaluation, openForGeneration } from "../recipe/inference.ts";
import { quantizedOf } from "../recipe/trained_model.ts";
import { IdTokenizer } from "../tokenizer/id_tokenizer.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { EvaluateProgram, GenerateProgram } from "../train/programs.ts";
import { sampleText } from "../train/sample.ts";
import { type Dataset, openDataset } from "./datasets.ts";
import { Device } from "./device.ts";
import type { EvaluateOptions, EvaluationResult, GenerateOptions, UsableModel } from "./model.ts";
import { configOf, type TrainingSettings } from "./settings.ts";
import { type ModelSource, openSource } from "./sources.ts";
import { given, withPerplexity } from "./ended_run.ts";

/** Tokens that a model sees at once unless the user says otherwise, or the model has fewer. */
export const USUAL_LENGTH = 512;
/** Tokens that a model writes unless the user says otherwise. */
const USUAL_TOKENS = 200;

/** Options of `loadModel`. */
export interface LoadModelOptions extends
  Pick<
    TrainingSettings,
    | "revision"
    | "max_length"
    | "packing"
    | "completion_only_loss"
    | "assistant_only_loss"
    | "per_device_train_batch_size"
    | "load_in_8bit"
    | "load_in_4bit"
  > {
  /** An adapter that was trained with the model. */
  readonly adapter?: ModelSource | undefined;
  /** The folder of the tokenizer, if it is not beside the model. */
  readonly tokenizer?: ModelSource | undefined;
  /** Families of models to choose from by model_type; by default those that are built in. */
  readonly architectures?: readonly Architecture[] | undefined;
  /** The device to use; by default one is opened, and closed with the model. */
  readonly gpu?: Gpu | undefined;
}

/**
 * Opens a pretrained model, with an adapter if one is given, to judge and to use it. Its weights go to the device when
 * it is first used, for one purpose at a time.
 * @throws ConfigError or RangeError for what does not fit together, NoAdapterError.
 */
export async function loadModel(source: ModelSource, options: LoadModelOptions = {}): Promise<UsableModel> {
  const { adapter, tokenizer, architectures, gpu, ...settings } = options;
  const config = configOf(settings, { model: "model", ...(adapter && { adapter: "adapter" }) });
  const model = await openModel({
    model: await openSource(source, config.revision),
    architectures,
    ...(tokenizer && { tokenizer: await openSource(tokenizer) }),
    ...(adapter && { adapter: await openSource(adapter) }),
  });
  const max_length = settings.max_length ?? Math.min(model.maxLength, USUAL_LENGTH);
  return new LoadedModel(model, { ...config, max_length }, await Device.open(gpu));
}

/** A pretrained model whose small files are read. */
export interface OpenedModel {
  /** The config.json, with the classes that an adapter was trained to tell apart if it names some. */
  readonly pretrained: Pretrained;
  readonly adapter: Folder | undefined;
  readonly tokenizer: Tokenizer;
  /** Names of the classes of a model that classifies. */
  readonly classes: readonly string[] | undefined;
  /** Most tokens of a sequence. */
  readonly maxLength: number;
}

/** Reads the small files of a model. @throws RangeError for what is missing or does not fit together. */
export async function openModel(
  { model, architectures, tokenizer, adapter }: Omit<FineTuningSources, "dataset">,
): Promise<OpenedModel> {
  const opened = await openPretrained(model, tokenizer, architectures);
  const pretrained = { ...opened, json: await withClassesOf(adapter, opened.json) };
  const plain = createModel(pretrained.json, { architecture: pretrained.architecture });
  return {
    pretrained,
    adapter,
    tokenizer: pretrained.tokenizer ?? new IdTokenizer(plain.config.vocab_size),
    classes: classesOf(plain),
    maxLength: plain.architecture.maxLength(plain.config),
  };
}

/** A model that is on the device for one purpose, the last one that was asked for. */
class LoadedModel implements UsableModel {
  readonly #model: OpenedModel;
  readonly #config: TrainingConfig;
  readonly #device: Device;
  #generating: Opened<GenerateProgram> | undefined;
  #evaluating: (Opened<EvaluateProgram> & { readonly packed: boolean }) | undefined;

  constructor(model: OpenedModel, config: TrainingConfig, device: Device) {
    this.#model = model;
    this.#config = config;
    this.#device = device;
  }

  async evaluate(dataset: Dataset, { eval_batches = Infinity }: EvaluateOptions = {}): Promise<EvaluationResult> {
    const { tokenizer, classes } = this.#model, config = this.#config;
    const { packed, batches } = wholeData(await openDataset(dataset), { config, tokenizer, classes }, eval_batches);
    return await this.#device.inTurn(async () => {
      const { session, program } = await this.#openForEvaluation(packed);
      return withPerplexity(await session.evaluate(program, batches), classes);
    });
  }

  async generate(prompt: string, options: GenerateOptions = {}): Promise<string> {
    const { temperature, top_k, seed, max_length } = this.#config;
    const whole = { max_new_tokens: USUAL_TOKENS, temperature, top_k, seed, ...given(options), prompt, max_length };
    return await this.#device.inTurn(async () => {
      const { session, program } = await this.#openForGeneration();
      return await sampleText(session, program, this.#model.tokenizer, whole);
    });
  }

  close(): void {
    this.#unload();
    this.#device.close();
  }

  async #openForEvaluation(packed: boolean): Promise<Opened<EvaluateProgram>> {
    if (this.#evaluating?.packed === packed) return this.#evaluating;
    this.#unload();
    const { pretrained, adapter } = this.#model, { per_device_train_batch_size: B, max_length: T } = this.#config;
    const options = { adapter, B, T, packed, quantized: quantizedOf(this.#config) };
    const opened = await openForEvaluation(this.#device.gpu, pretrained, options);
    this.#evaluating = { ...opened, packed };
    return opened;
  }

  async #openForGeneration(): Promise<Opened<GenerateProgram>> {
    if (this.#generating) return this.#generating;
    this.#unload();
    const { pretrained, adapter } = this.#model, { max_length: T } = this.#config;
    const options = { adapter, T, quantized: quantizedOf(this.#config) };
    return this.#generating = await openForGeneration(this.#device.gpu, pretrained, options);
  }

  #unload(): void {
    this.#generating?.session.destroy();
    this.#evaluating?.session.destroy();
    this.#generating = this.#evaluating = undefined;
  }
}
