import * as v from "valibot";
import { ConfigError, type TrainingConfig } from "./config/config.ts";
import { schema } from "./config/schema.ts";

/** Settings as a checkpoint holds them. */
export type SavedSettings = Readonly<Record<string, unknown>>;

/**
 * Settings that a checkpoint does not hold: no step depends on them, or the thing that they name is compared itself.
 */
const NOT_SAVED: ReadonlySet<string> = new Set([
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
  "sample_steps",
  "sample_tokens",
  "prompt",
  "temperature",
  "top_k",
  "thaw",
  "freeze_trained",
  "ignore_base_hash",
]);
/** Settings that a resumed run may have otherwise: a run that is finished can be trained further. */
const MAY_DIFFER = ["max_steps"];
/** Settings that evaluations depend on. They change a step only where the gap between switches follows the loss. */
const OF_EVALUATIONS = ["eval_steps", "eval_batches"];
/** Settings that say what is trained, where that may change; of two LoRA configs, these keys. */
const WHAT_IS_TRAINED: ReadonlySet<string> = new Set([
  "frozen_modules",
  "trainable_modules",
  "peft",
  "peft.target_modules",
  "peft.modules_to_save",
]);

/** The settings that a checkpoint holds. */
export const comparableSettings = (config: SavedSettings): SavedSettings =>
  Object.fromEntries(Object.entries(config).filter(([key]) => !NOT_SAVED.has(key)));

/**
 * Adds defaults for settings that an earlier version did not have. Settings of a later version stay as they are.
 */
function completed(settings: SavedSettings): SavedSettings {
  const { success, output } = v.safeParse(schema, settings);
  return comparableSettings(success ? output : settings);
}

const isObject = (value: unknown): value is SavedSettings => typeof value === "object" && value !== null;

/** The first setting that differs; of two LoRA configs, which of their keys. */
function changedIn(
  saved: SavedSettings,
  own: SavedSettings,
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
export function checkSettings(saved: SavedSettings, config: TrainingConfig, isFree: boolean): void {
  const mayDiffer = new Set([
    ...MAY_DIFFER,
    ...(followsEvaluations(config) ? [] : OF_EVALUATIONS),
    ...(isFree ? WHAT_IS_TRAINED : []),
  ]);
  const changed = changedIn(completed(saved), completed(config), mayDiffer);
  if (!changed) return;
  const [key, before, now] = changed;
  const flags = WHAT_IS_TRAINED.has(key) ? ", or add --thaw or --freeze_trained to train something else" : "";
  throw new ConfigError(
    `Cannot resume with "${key}" ${JSON.stringify(now)}: the checkpoint was saved with ${
      JSON.stringify(before)
    }. Use the training.json beside it as --config${flags}`,
  );
}

const followsEvaluations = ({ optim_args }: TrainingConfig): boolean => (optim_args.update_gap_max ?? null) !== null;

/**
 * The numbers of a run of `max_steps` steps that another number of steps changes, for people; undefined if there are
 * none.
 */
function dependsOnMaxSteps(config: TrainingConfig): string | undefined {
  const { lr_scheduler_type, warmup_steps, optim_args } = config;
  if (lr_scheduler_type !== "constant") return `the ${lr_scheduler_type} schedule of the learning rate`;
  if (warmup_steps > 0 && warmup_steps < 1) return "the warm-up, which is a share of the steps,";
  if ((optim_args.density_end ?? null) !== null) return "the density, which changes until the last step,";
  return followsEvaluations(config) ? "the gap between switches, which follows evaluations," : undefined;
}

/**
 * Notes what another number of steps means for a run that is trained further.
 * @throws ConfigError if the run would end before the checkpoint.
 */
export function checkSteps(saved: SavedSettings, step: number, config: TrainingConfig, notes: string[]): void {
  const before = saved["max_steps"], { max_steps } = config;
  if (max_steps < step) {
    throw new ConfigError(
      `Cannot resume with "max_steps" ${max_steps}: the checkpoint has done ${step} steps. Use a larger number`,
    );
  }
  const what = before === max_steps ? undefined : dependsOnMaxSteps(config);
  if (what) notes.push(`max_steps was ${before}, now ${max_steps}: ${what} is that of ${max_steps} steps from here on`);
}
