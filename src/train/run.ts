import type { AdapterReport, Gpu, Variant } from "../gpu/device.ts";
import { trainBPE } from "../data/bpe_train.ts";
import { generateStories } from "../data/corpus.ts";
import { splitTokens, type TokenIds } from "../data/text.ts";
import { ByteTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import { createLlama, type Llama, type LlamaConfig } from "../models/llama.ts";
import { ropeTableTensor } from "../models/rope_table.ts";
import { OPTIMIZERS, type OptimizerName, PRESETS, rulesOf } from "../optim/presets.ts";
import type { LearningRateSchedule } from "../optim/schedule.ts";
import { bytesByRole, type BytesByRole, checkFits } from "../plan/ledger.ts";
import type { MemoryPlan } from "../plan/memory.ts";
import { ConfigError, type TrainingConfig } from "./config.ts";
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

/**
 * Turns settings and text into a run: tokenizer, model, programs and memory plan.
 * @param text of the dataset, or undefined for the embedded stories.
 * @throws ConfigError or RangeError if they do not fit together.
 */
export function prepareRun(config: TrainingConfig, text: string | undefined, variant: Variant): Run {
  const corpus = text ?? generateStories(config.seed, CORPUS_CHARACTERS);
  const tokenizer = config.tokenizer === "byte" ? new ByteTokenizer() : trainBPE(corpus.slice(0, BPE_SAMPLE_CHARACTERS), config.vocab_size);
  const tokens = splitTokens(tokenizer.encode(corpus), config.validation_split, config.max_length);
  const { model, programs, plan } = planRun(config, tokenizer.vocab_size, variant);
  return { config, tokenizer, tokens, model, programs, plan, schedule: scheduleOf(config) };
}

/** Model, programs and memory plan of a config. A pure function, of the shapes alone. */
export function planRun(config: TrainingConfig, vocab_size: number, variant: Variant): { model: Llama; programs: Programs; plan: MemoryPlan } {
  const model = createLlama(llamaConfigOf(config, vocab_size));
  const { max_length: T, per_device_train_batch_size: B } = config;
  const rope_table = ropeTableTensor(T, model.config.head_dim);
  const options = { ...config, variant, model, rope_table, B, T, ruleFor: rulesOf(config.optim, config), metrics_rows: Math.min(config.logging_steps, config.max_steps) };
  const programs = {
    rope_table,
    adam_beta1: config.adam_beta1,
    adam_beta2: config.adam_beta2,
    train: recordTrain(options),
    evaluate: recordEvaluate(options),
    generate: recordGenerate(options),
  };
  return { model, programs, plan: planPrograms(programs) };
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

/** Planned bytes by role of the same run under each optimizer. */
export function compareOptimizers(config: TrainingConfig, vocab_size: number, variant: Variant): { readonly optim: OptimizerName; readonly bytes: BytesByRole }[] {
  return OPTIMIZERS.map((optim) => ({ optim, bytes: bytesByRole(planRun({ ...config, optim }, vocab_size, variant).plan.buffers) }));
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
