import { CONFIG_KEYS, type ConfigKey } from "./schema.ts";
import { nameOptimArgs } from "./optim_args.ts";
import { namePeft, PEFT_ALIASES } from "./peft_config.ts";

/** A setting the user must change. The message is one line and says how. */
export class ConfigError extends Error {
  /** Tells this error from others across a Worker's border. */
  override readonly name = "ConfigError";
}

/** Other tools' names for the same settings. */
export const ALIASES: Readonly<Record<string, ConfigKey>> = {
  data: "dataset",
  trainable: "trainable_modules",
  base_model: "model",
  model_name_or_path: "model",
  sample_packing: "packing",
  packed: "packing",
  grad_checkpoint: "gradient_checkpointing",
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
  activation_checkpointing: "gradient_checkpointing",
  enable_activation_checkpointing: "gradient_checkpointing",
  steps_per_report: "logging_steps",
  steps_per_eval: "eval_steps",
};

/** The names of transformers' `optim` and of the published codes. */
const OPTIMIZER_ALIASES: ReadonlyMap<unknown, string> = new Map([
  ...["adamw_torch", "adamw_hf", "adamw_torch_fused"].map((name) => [name, "adamw"] as const),
  ...["adamw_bnb_8bit", "adamw_torch_8bit"].map((name) => [name, "adamw_8bit"] as const),
  ...[
    ["galore_adamw", "galore"],
    ["galore_adamw_8bit", "galore_8bit"],
    ["apollo_adamw", "apollo"],
    ["lion_32bit", "lion"],
    ["signsgd", "sign_sgd"],
    ["fira_adamw", "fira"],
  ] as const,
  ...[["coord_adamw", "frugal"], ["block_adamw", "frugal_blocks"], ["galore_frugal", "frugal_svd"]] as const,
]);

/** transformers' suffix for updates in the backward pass, which here follow from the other settings. */
export const LAYERWISE = /_layerwise$/;

function optimizerOf(value: unknown): unknown {
  const plain = typeof value === "string" ? value.replace(LAYERWISE, "") : value;
  return OPTIMIZER_ALIASES.get(plain) ?? plain;
}

/**
 * The settings under their own names, so that those of two sources can be laid over each other.
 * @throws ConfigError for an unknown key, or one that is given twice.
 */
export function nameSettings(
  given: Readonly<Record<string, unknown>>,
  note: (message: string) => void,
): Record<string, unknown> {
  const named: Record<string, unknown> = {}, peft: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    if (Object.hasOwn(PEFT_ALIASES, key)) {
      note(`"${key}" is read as "peft.${PEFT_ALIASES[key]!}"`);
      peft[PEFT_ALIASES[key]!] = value;
      continue;
    }
    const name = nameOf(key, note);
    if (Object.hasOwn(named, name)) {
      throw new ConfigError(`Cannot use "${key}": "${name}" is given twice. Remove one of them`);
    }
    if (name === "optim") named[name] = optimizerOf(value);
    else if (name === "optim_args") {
      named[name] = isObject(pairsOf(value)) ? nameOptimArgs(pairsOf(value) as Record<string, unknown>) : value;
    } else if (name === "lr_scheduler_kwargs") named[name] = pairsOf(value);
    // A list of modules has commas of its own.
    else if (name === "peft") {
      named[name] = namePeft(typeof value === "string" ? parsePairs(value, /,?\s+|,(?=\w+=)/) : value);
    } else if (LISTS.has(name)) named[name] = typeof value === "string" ? listOf(value) : value;
    else named[name] = value;
  }
  if (Object.keys(peft).length > 0) {
    named["peft"] = { ...(namePeft(named["peft"]) as object), ...(namePeft(peft) as object) };
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
  throw new ConfigError(
    `Cannot use unknown setting ${show(key)}${
      nearest ? `: did you mean "${nearest}"?` : `. Known settings: ${CONFIG_KEYS.join(", ")}`
    }`,
  );
}

const pairsOf = (value: unknown): unknown => (typeof value === "string" ? parsePairs(value) : value);
/** Settings whose value may be written with commas. */
const LISTS: ReadonlySet<string> = new Set(["optim_target_modules", "frozen_modules", "trainable_modules"]);
/** "all-linear" is transformers' name for the default. */
const listOf = (
  text: string,
): readonly string[] | null => (text === "all-linear" ? null : text.split(",").filter(Boolean));

/** transformers writes optim_args as "momentum=0.9, nesterov=true". */
function parsePairs(text: string, separator = /[,\s]+/): Record<string, unknown> {
  return Object.fromEntries(
    text.split(separator).filter(Boolean).map((pair) => {
      const [name = "", value = "true"] = pair.split("=", 2);
      if (value === "true" || value === "false") return [name, value === "true"];
      return [name, value !== "" && Number.isFinite(Number(value)) ? Number(value) : value];
    }),
  );
}

/** A value on one line, cut short. JSON has no NaN and no infinities. */
export function show(value: unknown): string {
  const text = typeof value === "number" ? String(value) : JSON.stringify(value) ?? String(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

export const isObject = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value);
/** The candidate with the fewest edits from `name`, if that is close enough to be what was meant. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  const distances = candidates.map((candidate) => editDistance(name, candidate));
  const best = Math.min(...distances);
  return best <= Math.max(name.length > 3 ? 2 : 1, Math.floor(name.length / 3))
    ? candidates[distances.indexOf(best)]
    : undefined;
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = [...Array(b.length + 1).keys()];
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}
