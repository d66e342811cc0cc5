import { type Tensor, tensor } from "../../plan/tensor.ts";

/** The numbers of one optimizer step, in the order of `struct Schedule` in shaders/lib/schedule.wgsl. */
export interface StepNumbers {
  /** The learning rate of the step. */
  readonly learning_rate: number;
  /** 1 / number of tokens that count in this step. */
  readonly loss_scale: number;
  /** The row of the metrics that the step writes. */
  readonly metrics_row: number;
}

const FIELDS = ["learning_rate", "loss_scale", "metrics_row"] as const;

/** The input that holds the numbers of a step: one for each program that has a loss. */
export const scheduleTensor = (label: string): Tensor => tensor(label, [FIELDS.length], "input", "u32");

/** Packs the numbers of a step into the words that the update kernels read. */
export function packSchedule(numbers: StepNumbers): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(FIELDS.length);
  const floats = new Float32Array(words.buffer);
  FIELDS.forEach((name, i) => {
    if (name === "metrics_row") words[i] = numbers[name];
    else floats[i] = numbers[name];
  });
  return words;
}

/** Shapes of the learning rate over a run, by Hugging Face's names. */
export const LR_SCHEDULER_TYPES = ["constant", "linear", "cosine", "cosine_with_restarts"] as const;
/** The name of a course of the learning rate. */
export type LearningRateScheduleType = (typeof LR_SCHEDULER_TYPES)[number];

/** The learning rate as a function of the step. */
export interface LearningRateSchedule {
  /** The shape after the warm-up. */
  readonly lr_scheduler_type: LearningRateScheduleType;
  /** Peak. */
  readonly learning_rate: number;
  /** Rate at the end of linear and cosine. */
  readonly min_learning_rate: number;
  /** Steps of linear growth from 0, or their share of max_steps if below 1. */
  readonly warmup_steps: number;
  /** Optimizer steps of the whole run. */
  readonly max_steps: number;
  /** Periods of cosine_with_restarts. */
  readonly num_cycles: number;
}

/**
 * Learning rate of step 0, 1, …, as in Hugging Face's schedules: step s of the warm-up has (s + 1) / warm-up of the
 * peak.
 */
export function learningRateAt(step: number, schedule: LearningRateSchedule): number {
  const { learning_rate: peak, min_learning_rate: floor, max_steps, num_cycles } = schedule;
  const warmup = warmupStepsOf(schedule);
  if (step < warmup) return (peak * (step + 1)) / warmup;
  const progress = Math.min(1, (step - warmup) / Math.max(1, max_steps - warmup));
  const between = (share: number): number => floor + (peak - floor) * share;
  switch (schedule.lr_scheduler_type) {
    case "constant":
      return peak;
    case "linear":
      return between(1 - progress);
    case "cosine":
      return between(0.5 * (1 + Math.cos(Math.PI * progress)));
    case "cosine_with_restarts":
      return progress >= 1 ? floor : between(0.5 * (1 + Math.cos(Math.PI * ((num_cycles * progress) % 1))));
    default:
      return schedule.lr_scheduler_type satisfies never;
  }
}

const warmupStepsOf = ({ warmup_steps, max_steps }: LearningRateSchedule): number =>
  warmup_steps < 1 ? Math.floor(warmup_steps * max_steps) : warmup_steps;
