import * as v from "valibot";
import { ConfigError, type TrainingConfig } from "./config/config.ts";
import { schema } from "./config/schema.ts";

/** Settings as a checkpoint holds them. */
export type Settings = Readonly<Record<string, unknown>>;

/**
 * Settings that a resumed run may have otherwise: they do not change what a step computes, or what they name is
 * compared itself.
 */
const FREE: ReadonlySet<string> = new Set([
  ...[
    "output_dir",
    "run_name",
    "resume_from_checkpoint",
    "save_steps",
    "save_total_limit",
    "logging_steps",
    "model",
    "revision",
    "adapter",
    "dataset",
  ],
  ...["sample_steps", "sample_tokens", "prompt", "temperature", "top_k", "thaw", "freeze_trained", "ignore_base_hash"],
]);
/** And those that say what is trained, where that may change; of two LoRA configs, these keys. */
const WHAT_IS_TRAINED: ReadonlySet<string> = new Set([
  "frozen_modules",
  "trainable_modules",
  "peft",
  "peft.target_modules",
  "peft.modules_to_save",
]);

/** The settings that a resumed run must share. */
export const bound = (config: Settings): Settings =>
  Object.fromEntries(Object.entries(config).filter(([key]) => !FREE.has(key)));

/**
 * With defaults for what a version before this one did not have. Where the settings of a later one are in it, as it is.
 */
function completed(settings: Settings): Settings {
  const { success, output } = v.safeParse(schema, settings);
  return bound(success ? output : settings);
}

const isObject = (value: unknown): value is Settings => typeof value === "object" && value !== null;

/** The first setting that differs; of two LoRA configs, which of their keys. */
function changedIn(
  saved: Settings,
  own: Settings,
  mayChange: ReadonlySet<string>,
  prefix = "",
): [key: string, before: unknown, now: unknown] | undefined {
  for (const key of new Set([...Object.keys(saved), ...Object.keys(own)])) {
    const before = saved[key], now = own[key], path = prefix + key;
    if (JSON.stringify(before) === JSON.stringify(now)) continue;
    const isInner = path === "peft" && isObject(before) && isObject(now),
      inner = isInner ? changedIn(before, now, mayChange, "peft.") : undefined;
    if (inner) return inner;
    if (!isInner && !mayChange.has(path)) return [path, before, now];
  }
  return undefined;
}

/**
 * @param isFree whether what is trained may be something else.
 * @throws ConfigError naming the first setting that a run has otherwise than the checkpoint.
 */
export function checkSettings(saved: Settings, config: TrainingConfig, isFree: boolean): void {
  const changed = changedIn(completed(saved), completed(config), isFree ? WHAT_IS_TRAINED : new Set());
  if (!changed) return;
  const [key, before, now] = changed;
  const flags = WHAT_IS_TRAINED.has(key) ? ", or add --thaw or --freeze_trained to train something else" : "";
  throw new ConfigError(
    `Cannot resume with "${key}" ${JSON.stringify(now)}: the checkpoint was saved with ${
      JSON.stringify(before)
    }. Use the training.json beside it as --config${flags}`,
  );
}
