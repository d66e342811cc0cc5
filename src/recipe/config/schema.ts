import * as v from "valibot";
import { LR_SCHEDULER_TYPES } from "../../optim/step/schedule.ts";
import { OPTIMIZERS } from "../../optim/presets.ts";
import {
  bounded,
  count,
  countOrZero,
  flag,
  fraction,
  layers,
  oneOf,
  parseByteSize,
  patterns,
  positive,
  stepsOrShare,
  text,
  zeroOrMore,
} from "./checks.ts";
import { optimArgs } from "./optim_args.ts";
import { peftConfig } from "./peft_config.ts";
import type { TrainingConfig } from "./training_config.ts";

/**
 * The check and the default of every setting of `TrainingConfig`. Names are those of Hugging Face's LlamaConfig,
 * TrainingArguments and TRL.
 */
export const entries = {
  // Data.
  dataset: v.optional(text, ""),
  packing: v.optional(flag, false),
  completion_only_loss: v.optional(flag, true),
  assistant_only_loss: v.optional(flag, true),
  tokenizer: v.optional(text, "bpe"),
  vocab_size: v.optional(
    bounded("a whole number from 256 to 262144", (x) => Number.isInteger(x) && x >= 256 && x <= 262144),
    512,
  ),
  validation_split: v.optional(bounded("a number between 0 and 1", (x) => x > 0 && x < 1), 0.05),
  max_length: v.optional(count, 128),
  // Model: a pretrained one, or the shape of a new one.
  model: v.optional(text, ""),
  revision: v.optional(text, "main"),
  hidden_size: v.optional(count, 96),
  intermediate_size: v.optional(count, 256),
  num_hidden_layers: v.optional(layers, 2),
  num_attention_heads: v.optional(count, 6),
  num_key_value_heads: v.optional(count, 3),
  rms_norm_eps: v.optional(positive, 1e-5),
  rope_theta: v.optional(positive, 10000),
  tie_word_embeddings: v.optional(flag, true),
  initializer_range: v.optional(positive, 0.02),
  dtype: v.optional(oneOf(["auto", "float32", "bfloat16"]), "auto"),
  load_in_8bit: v.optional(flag, false),
  load_in_4bit: v.optional(flag, false),
  dropout: v.optional(v.nullable(fraction), null),
  factor_rank: v.optional(countOrZero, 0),
  factor_alpha: v.optional(positive, 32),
  refactor_steps: v.optional(countOrZero, 0),
  // Optimization.
  optim: v.optional(oneOf(OPTIMIZERS), "adamw"),
  learning_rate: v.optional(v.nullable(positive), null),
  lr_scheduler_type: v.optional(oneOf(LR_SCHEDULER_TYPES), "cosine"),
  lr_scheduler_kwargs: v.optional(
    v.strictObject({ num_cycles: v.optional(count, 1), min_lr_rate: v.optional(fraction, 0.1) }),
    {},
  ),
  warmup_steps: v.optional(stepsOrShare, 0.05),
  weight_decay: v.optional(zeroOrMore, 0.1),
  adam_beta1: v.optional(fraction, 0.9),
  adam_beta2: v.optional(fraction, 0.95),
  adam_epsilon: v.optional(v.nullable(positive), null),
  optim_args: v.optional(optimArgs, {}),
  optim_target_modules: v.optional(v.nullable(patterns), null),
  frozen_modules: v.optional(patterns, []),
  trainable_modules: v.optional(v.nullable(patterns), null),
  peft: v.optional(v.nullable(peftConfig), null),
  adapter: v.optional(text, ""),
  relora_steps: v.optional(countOrZero, 0),
  memory_budget: v.optional(
    v.nullable(v.pipe(text, v.check((x) => parseByteSize(x) !== undefined, 'must be a size such as "512MB"'))),
    null,
  ),
  max_grad_norm: v.optional(zeroOrMore, 1),
  per_device_train_batch_size: v.optional(count, 8),
  gradient_accumulation_steps: v.optional(count, 1),
  gradient_checkpointing: v.optional(flag, false),
  bf16: v.optional(flag, false),
  max_steps: v.optional(count, 800),
  seed: v.optional(countOrZero, 42),
  // Output: files, and how often they are written.
  logging_steps: v.optional(count, 10),
  eval_steps: v.optional(count, 100),
  eval_batches: v.optional(count, 8),
  sample_steps: v.optional(count, 200),
  sample_tokens: v.optional(count, 64),
  prompt: v.optional(text, ""),
  temperature: v.optional(zeroOrMore, 0.8),
  top_k: v.optional(countOrZero, 40),
  save_steps: v.optional(countOrZero, 0),
  save_total_limit: v.optional(count, 2),
  resume_from_checkpoint: v.optional(text, ""),
  thaw: v.optional(flag, false),
  freeze_trained: v.optional(flag, false),
  ignore_base_hash: v.optional(flag, false),
  output_dir: v.optional(text, "runs"),
  run_name: v.optional(text, ""),
} satisfies Record<keyof TrainingConfig, unknown>;
export const schema: v.GenericSchema<unknown, TrainingConfig> = v.strictObject(entries);

/** The name of a setting. */
export type ConfigKey = keyof TrainingConfig;
/** The names of all settings. */
export const CONFIG_KEYS = Object.keys(entries) as readonly ConfigKey[];
