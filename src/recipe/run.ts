import type { AdapterReport, Gpu, KernelTarget } from "../gpu/device.ts";
import { trainBPE } from "../tokenizer/bpe_train.ts";
import type { TokenIds } from "../data/text.ts";
import { ByteTokenizer, type Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Model } from "../models/architecture.ts";
import { trainedParameters } from "../models/parameter.ts";
import { createOptimizer } from "../optim/create_optimizer.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { type OptimizerName, OPTIMIZERS, PRESETS } from "../optim/presets.ts";
import type { LearningRateSchedule } from "../optim/step/schedule.ts";
import { type BytesByRole, bytesByRole, checkFits, totalBytes } from "../plan/ledger.ts";
import type { MemoryPlan } from "../plan/memory.ts";
import { withinBudget } from "./budget.ts";
import { ConfigError, type TrainingConfig } from "./config/config.ts";
import { type RunData, textData } from "./data.ts";
import { type BaseModel, dropoutSeedOf, modelOf } from "./trained_model.ts";
import { specChanges } from "./config/optim_args.ts";
import type { LoopSettings, TrainingJob } from "../train/job.ts";
import {
  planPrograms,
  type Programs,
  recordEvaluate,
  recordGenerate,
  recordTrain,
  tablesOf,
  type TrainProgramOptions,
} from "../train/programs.ts";
import { rebalanceHook } from "../train/rebalance.ts";
import { reloraHook } from "../train/relora.ts";
import { sampleText } from "../train/sample.ts";
import type { StepHook } from "../train/step_hook.ts";

/** A training run that is fully decided: nothing is allocated yet. */
export interface Run extends TrainingJob {
  /** The checked settings. */
  readonly config: TrainingConfig;
  /** The tokenizer of the model. */
  readonly tokenizer: Tokenizer;
  /** The training data. */
  readonly data: RunData;
}

/** A BPE vocabulary is trained on at most this much of the text: more changes it little and takes long. */
const BPE_SAMPLE_CHARACTERS = 1_000_000;

/** A text as tokens, which runs can share. */
export interface PreparedText {
  /** The tokenizer of the model. */
  readonly tokenizer: Tokenizer;
  /** The text as token ids. */
  readonly ids: TokenIds;
}

/** Makes the tokenizer and the tokens of a text. */
export function prepareText(
  { tokenizer: kind, vocab_size }: Pick<TrainingConfig, "tokenizer" | "vocab_size">,
  text: string,
): PreparedText {
  const tokenizer = kind === "byte" ? new ByteTokenizer() : trainBPE(text.slice(0, BPE_SAMPLE_CHARACTERS), vocab_size);
  return { tokenizer, ids: tokenizer.encode(text) };
}

/** The parts of a run beside its settings. */
export interface Prepared {
  /** The tokenizer of the model. */
  readonly tokenizer: Tokenizer;
  /** The training data. */
  readonly data: RunData;
  /** Present for a pretrained model. */
  readonly base?: BaseModel;
}

/**
 * Turns settings and text into a run: tokenizer, model, programs and memory plan.
 * @param text of the dataset, or what prepareText made of it; or tokenizer and data.
 * @throws ConfigError or RangeError if they do not fit together.
 */
export function prepareRun(
  requested: TrainingConfig,
  text: string | PreparedText | Prepared,
  target: KernelTarget,
): Run {
  const given = typeof text === "object" ? text : prepareText(requested, text);
  const { tokenizer, base, data } = "data" in given
    ? given
    : { tokenizer: given.tokenizer, data: textData(requested, given.ids), base: undefined };
  const planned = { vocab_size: tokenizer.vocab_size, packed: data.packed, target, base };
  const config = fitBudget(requested, planned), recorded = planRun(config, planned);
  return {
    config,
    tokenizer,
    data,
    ...recorded,
    settings: loopSettings(config),
    schedule: scheduleOf(config),
    hooks: hooksOf(config),
    sample: sampleOf(config, recorded.programs, tokenizer),
  };
}

function loopSettings(config: TrainingConfig): LoopSettings {
  const { seed, max_steps, logging_steps, eval_steps, sample_steps, save_steps } = config;
  const { gradient_accumulation_steps, per_device_train_batch_size, max_length } = config;
  const tokens_per_step = gradient_accumulation_steps * per_device_train_batch_size * max_length;
  return { seed, max_steps, logging_steps, eval_steps, sample_steps, save_steps, tokens_per_step };
}

/** The work between steps that the settings ask for. */
const hooksOf = ({ relora_steps, refactor_steps, seed }: TrainingConfig): StepHook[] => [
  ...(relora_steps > 0 ? [reloraHook(relora_steps, seed)] : []),
  ...(refactor_steps > 0 ? [rebalanceHook(refactor_steps)] : []),
];

/** Writes a text with the settings' prompt; undefined for a model that writes none. */
function sampleOf(
  { prompt, temperature, top_k, seed, max_length, sample_tokens }: TrainingConfig,
  { generate }: Programs,
  tokenizer: Tokenizer,
): TrainingJob["sample"] {
  const options = { prompt, temperature, top_k, seed, max_length, max_new_tokens: sample_tokens };
  return generate && ((session) => sampleText(session, generate, tokenizer, options));
}

/** The facts that a plan depends on beside the settings. */
export interface Planned {
  /** Size of the vocabulary of a new model. */
  readonly vocab_size: number;
  /** The kernels that suit the adapter. */
  readonly target: KernelTarget;
  /** Sequences hold several documents, or padding. */
  readonly packed?: boolean;
  /** The pretrained model that is trained further. */
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
  const options = optionsOf(config, planned), { model } = options;
  const programs = {
    train: recordTrain({ ...options, optimizer: optimizerOf(config, model) }),
    evaluate: recordEvaluate(options),
    generate: recordGenerate(options),
  };
  return { model, programs, plan: planPrograms(programs) };
}

/** The options of all programs of a run, but for the optimizer. */
function optionsOf(
  config: TrainingConfig,
  { vocab_size, target, packed = false, base }: Planned,
): Omit<TrainProgramOptions, "optimizer"> {
  const model = modelOf(config, vocab_size, base), maxLength = model.architecture.maxLength(model.config);
  const { max_length: T, per_device_train_batch_size: B } = config;
  if (T > maxLength) {
    throw new ConfigError(
      `Cannot use "max_length" ${T}: the model has positions for ${maxLength} tokens. Use a smaller one`,
    );
  }
  const { gradient_accumulation_steps, gradient_checkpointing, max_grad_norm, logging_steps, max_steps } = config;
  return {
    target,
    model,
    tables: tablesOf(model, T),
    B,
    T,
    packed,
    activations: config.bf16 ? "bf16" : "f32",
    dropout_seed: dropoutSeedOf(config, model),
    gradient_accumulation_steps,
    gradient_checkpointing,
    max_grad_norm,
    metrics_rows: Math.min(logging_steps, max_steps),
  };
}

/** The optimizer that a config asks for. */
export function optimizerOf(config: TrainingConfig, model: Model): Optimizer {
  const { optim, optim_args, optim_target_modules, weight_decay, seed, max_steps } = config;
  const { adam_beta1, adam_beta2, adam_epsilon } = config;
  return createOptimizer(optim, trainedParameters(model), {
    adam_beta1,
    adam_beta2,
    adam_epsilon,
    weight_decay,
    seed,
    max_steps,
    optim_target_modules,
    state_free_modules: optim_args.state_free_modules ?? [],
    optim_args: specChanges(optim_args),
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

/** The memory of a run under one optimizer, or the reason why the run cannot have it. */
export type OptimizerPlan =
  | { readonly optim: OptimizerName; readonly bytes: BytesByRole }
  | { readonly optim: OptimizerName; readonly problem: string };

/**
 * Planned bytes by role of the same run under each optimizer: the config's own with its optim_args, the others as they
 * are.
 */
export function compareOptimizers(config: TrainingConfig, planned: Planned): OptimizerPlan[] {
  const options = optionsOf(config, planned), { model } = options;
  const shared = { evaluate: recordEvaluate(options), generate: recordGenerate(options) };
  return OPTIMIZERS.map((optim) => {
    const settings = optim === config.optim ? config : { ...config, optim, optim_args: {}, optim_target_modules: null };
    try {
      const train = recordTrain({ ...options, optimizer: optimizerOf(settings, model) });
      return { optim, bytes: bytesByRole(planPrograms({ ...shared, train }).buffers) };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return { optim, problem: error.message };
    }
  });
}

/**
 * Refuses a run that the adapter cannot hold, naming what is largest and the batch size that would fit.
 * @param available bytes that may be used in all; Infinity if unknown.
 */
export function checkRunFits(
  run: Run,
  { adapter, target }: Pick<Gpu, "adapter" | "target">,
  available: number,
  base?: BaseModel,
): void {
  const problem = misfit(run.plan, adapter, available);
  if (!problem) return;
  for (let batch = Math.floor(run.config.per_device_train_batch_size / 2); batch >= 1; batch = Math.floor(batch / 2)) {
    const { plan } = planRun({ ...run.config, per_device_train_batch_size: batch }, {
      vocab_size: run.tokenizer.vocab_size,
      target,
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
