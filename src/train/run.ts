import type { AdapterReport, Gpu, Variant } from "../gpu/device.ts";
import { trainBPE } from "../data/bpe_train.ts";
import { generateStories } from "../data/corpus.ts";
import { splitTokens, type TokenIds } from "../data/text.ts";
import { ByteTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import { createLlama, frozenModel, type Llama, type LlamaConfig } from "../models/llama.ts";
import { membersOf } from "../models/members.ts";
import { ropeTableTensor } from "../models/rope_table.ts";
import { matching } from "../optim/members.ts";
import { Optimizer } from "../optim/optimizer.ts";
import { gridOf, OPTIMIZERS, type OptimizerName, PRESETS } from "../optim/presets.ts";
import type { LearningRateSchedule } from "../optim/step/schedule.ts";
import { bytesByRole, type BytesByRole, checkFits, totalBytes } from "../plan/ledger.ts";
import type { MemoryPlan } from "../plan/memory.ts";
import { withinBudget } from "./budget.ts";
import { ConfigError, type TrainingConfig } from "./config.ts";
import { gridChanges } from "./optim_args.ts";
import { type Programs, recordEvaluate, recordGenerate, recordTrain } from "./programs.ts";
import { planPrograms } from "./trainer.ts";

/** A training run that is fully decided: nothing is allocated yet. */
export interface Run {
  readonly config: TrainingConfig;
  readonly tokenizer: Tokenizer;
  readonly tokens: { readonly train: TokenIds; readonly validation: TokenIds };
  readonly model: Llama;
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

/** Makes the tokenizer and the tokens of a text, or of the embedded stories, which differ from seed to seed, where it is undefined. */
export function prepareText({ tokenizer: kind, vocab_size, seed }: Pick<TrainingConfig, "tokenizer" | "vocab_size" | "seed">, text: string | undefined): PreparedText {
  const corpus = text ?? generateStories(seed, CORPUS_CHARACTERS);
  const tokenizer = kind === "byte" ? new ByteTokenizer() : trainBPE(corpus.slice(0, BPE_SAMPLE_CHARACTERS), vocab_size);
  return { tokenizer, ids: tokenizer.encode(corpus) };
}

/**
 * Turns settings and text into a run: tokenizer, model, programs and memory plan.
 * @param text of the dataset, or undefined for the embedded stories, or what prepareText made of either.
 * @throws ConfigError or RangeError if they do not fit together.
 */
export function prepareRun(asked: TrainingConfig, text: string | undefined | PreparedText, variant: Variant): Run {
  const { tokenizer, ids } = typeof text === "object" ? text : prepareText(asked, text);
  const config = fitBudget(asked, tokenizer.vocab_size, variant);
  const tokens = splitTokens(ids, config.validation_split, config.max_length);
  const { model, programs, plan } = planRun(config, tokenizer.vocab_size, variant);
  return { config, tokenizer, tokens, model, programs, plan, schedule: scheduleOf(config) };
}

/** The config with the density that its memory_budget allows. */
export const fitBudget = (config: TrainingConfig, vocab_size: number, variant: Variant): TrainingConfig =>
  withinBudget(config, (tried) => totalBytes(bytesByRole(planRun(tried, vocab_size, variant).plan.buffers)));

/** Model, programs and memory plan of a config. A pure function, of the shapes alone. */
export function planRun(config: TrainingConfig, vocab_size: number, variant: Variant): { model: Llama; programs: Programs; plan: MemoryPlan } {
  const model = createModel(config, vocab_size);
  const { max_length: T, per_device_train_batch_size: B } = config;
  const rope_table = ropeTableTensor(T, model.config.head_dim);
  const options = { ...config, variant, model, rope_table, B, T, optimizer: createOptimizer(config, model), metrics_rows: Math.min(config.logging_steps, config.max_steps) };
  const programs = {
    rope_table,
    train: recordTrain(options),
    evaluate: recordEvaluate(options),
    generate: recordGenerate(options),
  };
  return { model, programs, plan: planPrograms(programs) };
}

function createModel(config: TrainingConfig, vocab_size: number): Llama {
  const factors = config.factor_rank > 0 ? { rank: config.factor_rank, alpha: config.factor_alpha } : undefined;
  const model = createLlama(llamaConfigOf(config, vocab_size), config.dtype === "bfloat16" ? "bf16" : "f32", factors);
  if (config.frozen_modules.length === 0) return model;
  const frozen = new Set([...matching("frozen_modules", config.frozen_modules, membersOf(model))].map(({ variable }) => variable));
  if (frozen.size === model.parameters.length) throw new ConfigError(`Cannot use "frozen_modules" ${JSON.stringify(config.frozen_modules)}: nothing would be left to train`);
  return frozenModel(model, frozen);
}

/** The optimizer that a config asks for. */
export function createOptimizer(config: TrainingConfig, model: Llama): Optimizer {
  const { optim_args, optim_target_modules } = config;
  const grid = gridOf(config.optim, gridChanges(optim_args));
  return new Optimizer(membersOf(model), grid, { ...config, momentum: grid.momentum, optim_target_modules, state_free_modules: optim_args.state_free_modules ?? [] });
}

export function llamaConfigOf(config: TrainingConfig, vocab_size: number): LlamaConfig {
  return {
    vocab_size,
    hidden_size: config.hidden_size,
    intermediate_size: config.intermediate_size,
    num_hidden_layers: config.num_hidden_layers,
    num_attention_heads: config.num_attention_heads,
    num_key_value_heads: config.num_key_value_heads,
    head_dim: config.hidden_size / config.num_attention_heads,
    rms_norm_eps: config.rms_norm_eps,
    rope_parameters: { rope_theta: config.rope_theta },
    tie_word_embeddings: config.tie_word_embeddings,
    initializer_range: config.initializer_range,
  };
}

function scheduleOf(config: TrainingConfig): LearningRateSchedule {
  const learning_rate = config.learning_rate ?? PRESETS[config.optim].learning_rate;
  const { lr_scheduler_type, warmup_steps, max_steps, lr_scheduler_kwargs: { num_cycles, min_lr_rate } } = config;
  return { lr_scheduler_type, warmup_steps, max_steps, num_cycles, learning_rate, min_learning_rate: min_lr_rate * learning_rate };
}

/** Planned bytes by role of the same run under each optimizer: the config's own with its optim_args, the others as they are. */
export function compareOptimizers(config: TrainingConfig, vocab_size: number, variant: Variant): { readonly optim: OptimizerName; readonly bytes: BytesByRole }[] {
  return OPTIMIZERS.map((optim) => {
    const settings = optim === config.optim ? config : { ...config, optim, optim_args: {}, optim_target_modules: null };
    return { optim, bytes: bytesByRole(planRun(settings, vocab_size, variant).plan.buffers) };
  });
}

/**
 * Refuses a run that the adapter cannot hold, naming what is largest and the batch size that would fit.
 * @param available bytes that may be used in all; Infinity if unknown.
 */
export function checkRunFits(run: Run, { adapter, variant }: Pick<Gpu, "adapter" | "variant">, available: number): void {
  const problem = misfit(run.plan, adapter, available);
  if (!problem) return;
  for (let batch = Math.floor(run.config.per_device_train_batch_size / 2); batch >= 1; batch = Math.floor(batch / 2)) {
    const { plan } = planRun({ ...run.config, per_device_train_batch_size: batch }, run.tokenizer.vocab_size, variant);
    if (!misfit(plan, adapter, available)) throw new ConfigError(`${problem}. A per_device_train_batch_size of ${batch} fits; gradient_accumulation_steps makes up for it`);
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
