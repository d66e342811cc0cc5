import type { AdapterReport, Gpu, Variant } from "../gpu/device.ts";
import { trainBPE } from "../tokenizer/bpe_train.ts";
import { generateStories } from "../data/corpus.ts";
import type { TokenIds } from "../data/text.ts";
import { ByteTokenizer, type Tokenizer } from "../tokenizer/tokenizer.ts";
import { membersOf } from "../models/members.ts";
import { type Model, needsOf } from "../models/model.ts";
import { ropeTableTensor } from "../models/rope_table.ts";
import { Optimizer } from "../optim/optimizer.ts";
import { gridOf, type OptimizerName, OPTIMIZERS, PRESETS } from "../optim/presets.ts";
import type { LearningRateSchedule } from "../optim/step/schedule.ts";
import { type BytesByRole, bytesByRole, checkFits, totalBytes } from "../plan/ledger.ts";
import type { MemoryPlan } from "../plan/memory.ts";
import { withinBudget } from "./budget.ts";
import { ConfigError, type TrainingConfig } from "./config/config.ts";
import { textData, type TrainingData } from "./data.ts";
import { type BaseModel, dropoutSeedOf, modelOf } from "./model.ts";
import { gridChanges } from "./config/optim_args.ts";
import { type Programs, recordEvaluate, recordGenerate, recordTrain, type TrainOptions } from "../train/programs.ts";
import { planPrograms } from "../train/trainer.ts";

/** A training run that is fully decided: nothing is allocated yet. */
export interface Run {
  readonly config: TrainingConfig;
  readonly tokenizer: Tokenizer;
  readonly data: TrainingData;
  readonly model: Model;
  readonly programs: Programs;
  readonly plan: MemoryPlan;
  readonly schedule: LearningRateSchedule;
}

/** Characters of the embedded corpus that a run without `dataset` trains on. */
const CORPUS_CHARACTERS = 2_000_000;
/** A BPE vocabulary is learnt from at most this much of the text: more changes it little and takes long. */
const BPE_SAMPLE_CHARACTERS = 1_000_000;

/** A text as tokens, which runs can share. */
export interface PreparedText {
  readonly tokenizer: Tokenizer;
  readonly ids: TokenIds;
}

/**
 * Makes the tokenizer and the tokens of a text, or of the embedded stories, which differ from seed to seed, where it is
 * undefined.
 */
export function prepareText(
  { tokenizer: kind, vocab_size, seed }: Pick<TrainingConfig, "tokenizer" | "vocab_size" | "seed">,
  text: string | undefined,
): PreparedText {
  const corpus = text ?? generateStories(seed, CORPUS_CHARACTERS);
  const tokenizer = kind === "byte"
    ? new ByteTokenizer()
    : trainBPE(corpus.slice(0, BPE_SAMPLE_CHARACTERS), vocab_size);
  return { tokenizer, ids: tokenizer.encode(corpus) };
}

/** What a run is made of beside its settings. */
export interface Prepared {
  readonly tokenizer: Tokenizer;
  readonly data: TrainingData;
  /** Of a pretrained model. */
  readonly base?: BaseModel;
}

/**
 * Turns settings and text into a run: tokenizer, model, programs and memory plan.
 * @param text of the dataset, or undefined for the embedded stories, or what prepareText made of either; or tokenizer
 * and data.
 * @throws ConfigError or RangeError if they do not fit together.
 */
export function prepareRun(
  asked: TrainingConfig,
  text: string | undefined | PreparedText | Prepared,
  variant: Variant,
): Run {
  const given = typeof text === "object" ? text : prepareText(asked, text);
  const { tokenizer, base, data } = "data" in given
    ? given
    : { tokenizer: given.tokenizer, data: textData(asked, given.ids), base: undefined };
  const config = fitBudget(asked, { vocab_size: tokenizer.vocab_size, packed: data.packed, variant, base });
  const { model, programs, plan } = planRun(config, {
    vocab_size: tokenizer.vocab_size,
    packed: data.packed,
    variant,
    base,
  });
  return { config, tokenizer, data, model, programs, plan, schedule: scheduleOf(config) };
}

/** What a plan depends on beside the settings. */
export interface Planned {
  /** Of a new model. */
  readonly vocab_size: number;
  readonly variant: Variant;
  /** Sequences hold several documents, or padding. */
  readonly packed?: boolean;
  readonly base?: BaseModel | undefined;
}

/** The config with the density that its memory_budget allows. */
export const fitBudget = (config: TrainingConfig, planned: Planned): TrainingConfig =>
  withinBudget(config, (tried) => totalBytes(bytesByRole(planRun(tried, planned).plan.buffers)));

/** Model, programs and memory plan of a config. A pure function, of the shapes alone. */
export function planRun(
  config: TrainingConfig,
  planned: Planned,
): { model: Model; programs: Programs; plan: MemoryPlan } {
  const options = optionsOf(config, planned), { model, rope_table } = options;
  const programs = {
    rope_table,
    train: recordTrain({ ...options, optimizer: createOptimizer(config, model) }),
    evaluate: recordEvaluate(options),
    generate: recordGenerate(options),
  };
  return { model, programs, plan: planPrograms(programs) };
}

/** What all programs of a run are recorded from, but for the optimizer. */
function optionsOf(
  config: TrainingConfig,
  { vocab_size, variant, packed = false, base }: Planned,
): Omit<TrainOptions, "optimizer"> {
  const model = modelOf(config, vocab_size, base), needs = needsOf(model);
  const { max_length: T, per_device_train_batch_size: B } = config;
  if (T > needs.most) {
    throw new ConfigError(
      `Cannot use "max_length" ${T}: the model has positions for ${needs.most} tokens. Use a smaller one`,
    );
  }
  const rope_table = needs.rope === undefined ? undefined : ropeTableTensor(T, needs.rope);
  return {
    ...config,
    variant,
    model,
    rope_table,
    B,
    T,
    packed,
    dropout_seed: dropoutSeedOf(config, model),
    metrics_rows: Math.min(config.logging_steps, config.max_steps),
  };
}

/** The optimizer that a config asks for. */
export function createOptimizer(config: TrainingConfig, model: Model): Optimizer {
  const { optim_args, optim_target_modules } = config;
  const grid = gridOf(config.optim, gridChanges(optim_args));
  return new Optimizer(membersOf(model), grid, {
    ...config,
    momentum: grid.momentum,
    optim_target_modules,
    state_free_modules: optim_args.state_free_modules ?? [],
  });
}

function scheduleOf(config: TrainingConfig): LearningRateSchedule {
  // A pretrained model has most of its way behind it.
  const learning_rate = config.learning_rate ?? PRESETS[config.optim].learning_rate / (config.model === "" ? 1 : 10);
  const { lr_scheduler_type, warmup_steps, max_steps, lr_scheduler_kwargs: { num_cycles, min_lr_rate } } = config;
  return {
    lr_scheduler_type,
    warmup_steps,
    max_steps,
    num_cycles,
    learning_rate,
    min_learning_rate: min_lr_rate * learning_rate,
  };
}

/**
 * Planned bytes by role of the same run under each optimizer: the config's own with its optim_args, the others as they
 * are.
 */
export function compareOptimizers(
  config: TrainingConfig,
  planned: Planned,
): { readonly optim: OptimizerName; readonly bytes: BytesByRole }[] {
  const options = optionsOf(config, planned), { model, rope_table } = options;
  const shared = { rope_table, evaluate: recordEvaluate(options), generate: recordGenerate(options) };
  return OPTIMIZERS.map((optim) => {
    const settings = optim === config.optim ? config : { ...config, optim, optim_args: {}, optim_target_modules: null };
    const train = recordTrain({ ...options, optimizer: createOptimizer(settings, model) });
    return { optim, bytes: bytesByRole(planPrograms({ ...shared, train }).buffers) };
  });
}

/**
 * Refuses a run that the adapter cannot hold, naming what is largest and the batch size that would fit.
 * @param available bytes that may be used in all; Infinity if unknown.
 */
export function checkRunFits(
  run: Run,
  { adapter, variant }: Pick<Gpu, "adapter" | "variant">,
  available: number,
  base?: BaseModel,
): void {
  const problem = misfit(run.plan, adapter, available);
  if (!problem) return;
  for (let batch = Math.floor(run.config.per_device_train_batch_size / 2); batch >= 1; batch = Math.floor(batch / 2)) {
    const { plan } = planRun({ ...run.config, per_device_train_batch_size: batch }, {
      vocab_size: run.tokenizer.vocab_size,
      variant,
      packed: run.data.packed,
      base,
    });
    if (!misfit(plan, adapter, available)) {
      throw new ConfigError(
        `${problem}. A per_device_train_batch_size of ${batch} fits; gradient_accumulation_steps makes up for it`,
      );
    }
  }
  throw new ConfigError(`${problem}. Not even a batch of 1 fits: use a smaller max_length, vocab_size or hidden_size`);
}

function misfit(plan: MemoryPlan, { limits }: AdapterReport, available: number): string | undefined {
  try {
    checkFits(plan, limits, available);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
