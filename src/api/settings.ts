import type { Gpu } from "../gpu/device.ts";
import { ConfigError, parseConfig } from "../recipe/config/config.ts";
import type { PeftConfig, SchedulerOptions, TrainingConfig } from "../recipe/config/training_config.ts";
import type { TrainEvent } from "../train/events.ts";

/** An object of which everything may be left out. */
export type Optional<T> = { readonly [Key in keyof T]?: T[Key] | undefined };

/**
 * The settings of a run, all of them optional, with Hugging Face's names. docs/configuration.md tells their defaults.
 */
export interface TrainingSettings extends
  Optional<
    Omit<
      TrainingConfig,
      // Arguments of their own, or settings of the command line.
      | "dataset"
      | "model"
      | "adapter"
      | "tokenizer"
      | "peft"
      | "lr_scheduler_kwargs"
      | "save_total_limit"
      | "resume_from_checkpoint"
      | "thaw"
      | "freeze_trained"
      | "ignore_base_hash"
      | "output_dir"
      | "run_name"
    >
  > {
  /** Train LoRA adapters instead of the model: true or "lora" for the defaults, or PEFT's LoraConfig. */
  readonly peft?: boolean | "lora" | Optional<PeftConfig> | null | undefined;
  /** Options of the course of the learning rate. */
  readonly lr_scheduler_kwargs?: Optional<SchedulerOptions> | undefined;
}

/** The ways to watch and to end a run. */
export interface RunOptions {
  /** The device to use; by default one is opened, and closed with the result. */
  readonly gpu?: Gpu | undefined;
  /**
   * Ends the run after the current step: what is trained until then is the result. Before its first step the call
   * rejects with the signal's reason instead.
   */
  readonly signal?: AbortSignal | undefined;
  /** Called with everything that happens. The run waits for what it returns. */
  readonly onEvent?: ((event: TrainEvent) => unknown) | undefined;
}

/** @throws ConfigError for a setting that is unknown, wrong, or of the command line only. */
export function configOf(
  settings: TrainingSettings,
  names: { readonly model?: string; readonly adapter?: string; readonly tokenizer?: string },
): TrainingConfig {
  const misplaced = ["resume_from_checkpoint", "output_dir", "run_name"].find((key) => key in settings);
  if (misplaced) {
    throw new ConfigError(
      `Cannot use "${misplaced}" here: it is a setting of the command line. Save the result where you want it`,
    );
  }
  const peft = settings.peft === true || (names.adapter && !settings.peft) ? "lora" : settings.peft || null;
  return parseConfig({ ...settings, peft, ...names });
}
