import * as v from "valibot";
import { LR_SCHEDULER_TYPES } from "../optim/step/schedule.ts";
import { OPTIMIZERS } from "../optim/presets.ts";
import { bounded, count, countOrZero, flag, fraction, layers, oneOf, patterns, positive, stepsOrShare, text, zeroOrMore } from "./checks.ts";
import { nameOptimArgs, optimArgs } from "./optim_args.ts";

/** A setting the user must change. The message is one line and says how. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** Every setting with its default. Names are those of Hugging Face's LlamaConfig, TrainingArguments and TRL. */
const entries = {
  // Data.
  dataset: v.optional(text, ""),
  tokenizer: v.optional(v.picklist(["byte", "bpe"], 'must be "byte" or "bpe"'), "bpe"),
  vocab_size: v.optional(bounded("a whole number from 256 to 262144", (x) => Number.isInteger(x) && x >= 256 && x <= 262144), 512),
  validation_split: v.optional(bounded("a number between 0 and 1", (x) => x > 0 && x < 1), 0.05),
  max_length: v.optional(count, 128),
  // Model.
  hidden_size: v.optional(count, 96),
  intermediate_size: v.optional(count, 256),
  num_hidden_layers: v.optional(layers, 2),
  num_attention_heads: v.optional(count, 6),
  num_key_value_heads: v.optional(count, 3),
  rms_norm_eps: v.optional(positive, 1e-5),
  rope_theta: v.optional(positive, 10000),
  tie_word_embeddings: v.optional(flag, true),
  initializer_range: v.optional(positive, 0.02),
  dtype: v.optional(oneOf(["float32", "bfloat16"]), "float32"),
  factor_rank: v.optional(countOrZero, 0),
  factor_alpha: v.optional(positive, 32),
  refactor_steps: v.optional(countOrZero, 0),
  // Optimization.
  optim: v.optional(oneOf(OPTIMIZERS), "adamw"),
  learning_rate: v.optional(v.nullable(positive), null),
  lr_scheduler_type: v.optional(oneOf(LR_SCHEDULER_TYPES), "cosine"),
  lr_scheduler_kwargs: v.optional(v.strictObject({ num_cycles: v.optional(count, 1), min_lr_rate: v.optional(fraction, 0.1) }), {}),
  warmup_steps: v.optional(stepsOrShare, 0.05),
  weight_decay: v.optional(zeroOrMore, 0.1),
  adam_beta1: v.optional(fraction, 0.9),
  adam_beta2: v.optional(fraction, 0.95),
  adam_epsilon: v.optional(v.nullable(positive), null),
  optim_args: v.optional(optimArgs, {}),
  optim_target_modules: v.optional(v.nullable(patterns), null),
  frozen_modules: v.optional(patterns, []),
  memory_budget: v.optional(v.nullable(v.pipe(text, v.check((x) => bytesOf(x) !== undefined, 'must be a size such as "512MB"'))), null),
  max_grad_norm: v.optional(zeroOrMore, 1),
  per_device_train_batch_size: v.optional(count, 8),
  gradient_accumulation_steps: v.optional(count, 1),
  gradient_checkpointing: v.optional(flag, false),
  max_steps: v.optional(count, 800),
  seed: v.optional(countOrZero, 42),
  // What is written, and when.
  logging_steps: v.optional(count, 10),
  eval_steps: v.optional(count, 100),
  eval_batches: v.optional(count, 8),
  sample_steps: v.optional(count, 200),
  sample_tokens: v.optional(count, 64),
  prompt: v.optional(text, ""),
  temperature: v.optional(zeroOrMore, 0.8),
  top_k: v.optional(countOrZero, 40),
  save_steps: v.optional(countOrZero, 0),
  resume_from_checkpoint: v.optional(text, ""),
  output_dir: v.optional(text, "runs"),
  run_name: v.optional(text, ""),
};
const schema = v.strictObject(entries);

export type TrainingConfig = v.InferOutput<typeof schema>;
export type ConfigKey = keyof typeof entries;
export const CONFIG_KEYS = Object.keys(entries) as readonly ConfigKey[];

/** Other tools' names for the same settings. */
export const ALIASES: Readonly<Record<string, ConfigKey>> = {
  data: "dataset",
  max_seq_length: "max_length",
  sequence_len: "max_length",
  block_size: "max_length",
  batch_size: "per_device_train_batch_size",
  micro_batch_size: "per_device_train_batch_size",
  grad_accumulation_steps: "gradient_accumulation_steps",
  gradient_accumulation: "gradient_accumulation_steps",
  iters: "max_steps",
  num_training_steps: "max_steps",
  lr: "learning_rate",
  lr_scheduler: "lr_scheduler_type",
  scheduler: "lr_scheduler_type",
  lr_schedule: "lr_scheduler_type",
  warmup_ratio: "warmup_steps",
  beta1: "adam_beta1",
  beta2: "adam_beta2",
  eps: "adam_epsilon",
  clip_grad_norm: "max_grad_norm",
  grad_clipping: "max_grad_norm",
  optimizer: "optim",
  grad_checkpoint: "gradient_checkpointing",
  activation_checkpointing: "gradient_checkpointing",
  enable_activation_checkpointing: "gradient_checkpointing",
  steps_per_report: "logging_steps",
  steps_per_eval: "eval_steps",
};

/** The names of transformers' `optim` and of the published codes. */
const OPTIMIZER_ALIASES: ReadonlyMap<unknown, string> = new Map([
  ...["adamw_torch", "adamw_hf", "adamw_torch_fused"].map((name) => [name, "adamw"] as const),
  ...["adamw_bnb_8bit", "adamw_torch_8bit"].map((name) => [name, "adamw_8bit"] as const),
  ...[["galore_adamw", "galore"], ["galore_adamw_8bit", "galore_8bit"], ["apollo_adamw", "apollo"], ["lion_32bit", "lion"], ["signsgd", "sign_sgd"], ["fira_adamw", "fira"]] as const,
  ...[["coord_adamw", "frugal"], ["block_adamw", "frugal_blocks"], ["galore_frugal", "frugal_svd"]] as const,
]);

/** transformers' suffix for updates in the backward pass, which here follow from the other settings. */
const LAYERWISE = /_layerwise$/;

function optimizerOf(value: unknown): unknown {
  const plain = typeof value === "string" ? value.replace(LAYERWISE, "") : value;
  return OPTIMIZER_ALIASES.get(plain) ?? plain;
}

/** @throws ConfigError if updates in the backward pass are asked for by name, and something needs all gradients first. */
function checkLayerwise(given: Readonly<Record<string, unknown>>, named: Readonly<Record<string, unknown>>): void {
  const optim = given["optim"] ?? given["optimizer"];
  if (typeof optim !== "string" || !LAYERWISE.test(optim)) return;
  const { max_grad_norm, gradient_accumulation_steps } = { max_grad_norm: 1, gradient_accumulation_steps: 1, ...named };
  if (max_grad_norm !== 0) throw new ConfigError(`Cannot use optim "${optim}" with max_grad_norm ${show(max_grad_norm)}: the global norm is not known when a layer is updated. Set max_grad_norm 0`);
  if (gradient_accumulation_steps !== 1) throw new ConfigError(`Cannot use optim "${optim}" with gradient_accumulation_steps ${show(gradient_accumulation_steps)}: a layer is updated as soon as its gradient is known. Use a larger batch`);
}

/** Bytes of a size such as "512MB" or "1.5 GiB"; undefined if it is none. */
export function bytesOf(size: string): number | undefined {
  const [, number, prefix, binary] = /^\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*$/i.exec(size) ?? [];
  if (number === undefined) return undefined;
  return Number(number) * (binary ? 1024 : 1000) ** " KMGT".indexOf((prefix || " ").toUpperCase());
}

/**
 * Checks settings given by a JSON file, by flags or by a page, and fills in the defaults. `note` hears of each alias used.
 * @throws ConfigError for an unknown key ("did you mean"), a wrong type, or settings that do not fit each other.
 */
export function parseConfig(given: Readonly<Record<string, unknown>>, note: (message: string) => void = () => {}): TrainingConfig {
  const named = nameSettings(given, note);
  checkLayerwise(given, named);
  const result = v.safeParse(schema, named);
  if (!result.success) throw new ConfigError(describe(result.issues[0], named));
  checkModel(result.output);
  return result.output;
}

/**
 * The settings under their own names, so that those of two sources can be laid over each other.
 * @throws ConfigError for an unknown key, or one that is given twice.
 */
export function nameSettings(given: Readonly<Record<string, unknown>>, note: (message: string) => void): Record<string, unknown> {
  const named: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    const name = nameOf(key, note);
    if (Object.hasOwn(named, name)) throw new ConfigError(`Cannot use "${key}": "${name}" is given twice. Remove one of them`);
    if (name === "optim") named[name] = optimizerOf(value);
    else if (name === "optim_args") named[name] = isObject(pairsOf(value)) ? nameOptimArgs(pairsOf(value) as Record<string, unknown>) : value;
    else if (name === "lr_scheduler_kwargs") named[name] = pairsOf(value);
    else if (name === "optim_target_modules" || name === "frozen_modules") named[name] = typeof value === "string" ? listOf(value) : value;
    else named[name] = value;
  }
  return named;
}

function nameOf(key: string, note: (message: string) => void): string {
  if ((CONFIG_KEYS as readonly string[]).includes(key)) return key;
  if (Object.hasOwn(ALIASES, key)) {
    note(`"${key}" is read as "${ALIASES[key]!}"`);
    return ALIASES[key]!;
  }
  const nearest = nearestName(key, [...CONFIG_KEYS, ...Object.keys(ALIASES)]);
  throw new ConfigError(`Cannot use unknown setting ${show(key)}${nearest ? `: did you mean "${nearest}"?` : `. Known settings: ${CONFIG_KEYS.join(", ")}`}`);
}

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);
const pairsOf = (value: unknown): unknown => (typeof value === "string" ? parsePairs(value) : value);
/** "all-linear" is transformers' name for the default. */
const listOf = (text: string): readonly string[] | null => (text === "all-linear" ? null : text.split(",").filter(Boolean));

/** transformers writes optim_args as "momentum=0.9, nesterov=true". */
function parsePairs(text: string): Record<string, unknown> {
  return Object.fromEntries(text.split(/[,\s]+/).filter(Boolean).map((pair) => {
    const [name = "", value = "true"] = pair.split("=", 2);
    if (value === "true" || value === "false") return [name, value === "true"];
    return [name, value !== "" && Number.isFinite(Number(value)) ? Number(value) : value];
  }));
}

function describe(issue: v.BaseIssue<unknown>, given: Record<string, unknown>): string {
  const [top = "", inner] = (issue.path ?? []).map(({ key }) => String(key));
  const path = inner === undefined ? top : `${top}.${inner}`;
  // Of an object with a key too many, valibot says that nothing was expected there; of something else, that an object was.
  if (issue.type === "strict_object" && issue.expected === "never") {
    const known = Object.keys((entries[top as ConfigKey] as unknown as { readonly wrapped: { readonly entries: object } }).wrapped.entries);
    const nearest = nearestName(inner!, known);
    return `Cannot use unknown setting ${show(path)}${nearest ? `: did you mean "${top}.${nearest}"?` : `. Known settings of ${top}: ${known.join(", ")}`}`;
  }
  const message = issue.type === "strict_object" ? "must be an object of settings" : issue.message;
  const value = inner === undefined ? given[top] : (given[top] as Record<string, unknown>)[inner];
  return `Cannot use "${path}": ${message}, got ${show(value)}`;
}

/** A value on one line, cut short. JSON has no NaN and no infinities. */
function show(value: unknown): string {
  const text = typeof value === "number" ? String(value) : JSON.stringify(value) ?? String(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

function checkModel({ hidden_size, num_attention_heads: H, num_key_value_heads: KV, tokenizer, vocab_size, factor_rank, refactor_steps }: TrainingConfig): void {
  if (hidden_size % H !== 0) throw new ConfigError(`Cannot use "num_attention_heads" ${H}: it must divide hidden_size ${hidden_size}`);
  if ((hidden_size / H) % 2 !== 0) throw new ConfigError(`Cannot use "num_attention_heads" ${H}: hidden_size / num_attention_heads must be even for RoPE, got ${hidden_size / H}`);
  if (refactor_steps > 0 && factor_rank === 0) throw new ConfigError(`Cannot use "refactor_steps" ${refactor_steps}: there are no factors to balance. Set factor_rank, or leave it out`);
  if (H % KV !== 0) throw new ConfigError(`Cannot use "num_key_value_heads" ${KV}: it must divide num_attention_heads ${H}`);
  if (tokenizer === "bpe" && vocab_size < 257) throw new ConfigError(`Cannot use "vocab_size" ${vocab_size} with the bpe tokenizer: it needs more than the 256 bytes. Use a larger one, or "tokenizer": "byte"`);
}

/** The candidate with the fewest edits from `name`, if that is close enough to be what was meant. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  const distances = candidates.map((candidate) => editDistance(name, candidate));
  const best = Math.min(...distances);
  return best <= Math.max(name.length > 3 ? 2 : 1, Math.floor(name.length / 3)) ? candidates[distances.indexOf(best)] : undefined;
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = [...Array(b.length + 1).keys()];
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length]!;
}
