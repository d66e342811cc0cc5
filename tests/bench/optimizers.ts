// The cost of optimizers: whole training steps under each of them, in alternating blocks in one process; updates.ts
// then times
//   the updates alone. A step that changes subspaces is timed apart, by a trainer that changes them in every step.

import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import type { OptimizerName } from "../../src/optim/presets.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import { type ClockKind, openClock } from "./clock.ts";
import { openTrainer, trainStep } from "./scrimp.ts";
import { measureUpdates, type UpdatesReport } from "./updates.ts";
import { type Work, WORKS } from "./works.ts";

export interface OptimizersTask {
  readonly measurement: "optimizers";
  readonly work: Work["name"];
  /** Timed steps of a block. */
  readonly steps: number;
  readonly stepsPerWait: number;
  /** Blocks that each optimizer gets. */
  readonly rounds: number;
  /** Milliseconds of the updates alone. */
  readonly clock?: ClockKind;
  readonly availableBytes: number;
}

/** A whole training step under one optimizer. */
export interface StepTimes {
  readonly optimizer: OptimizerName;
  /** True if every step changes the subspaces, false if none does. */
  readonly refreshes: boolean;
  /** Milliseconds a step: for each block, one number for each wait. */
  readonly blocks: number[][];
  /** Counts of a step of the last block. */
  dispatches: number;
}

export interface OptimizersReport {
  readonly adapter: string;
  /** The first is AdamW's, and so is the last: how far the two are apart is noise. */
  readonly training: readonly StepTimes[];
  readonly updates: UpdatesReport;
}

const OPTIMIZERS = [
  "adamw",
  "sign_sgd",
  "frugal",
  "frugal_blocks",
  "frugal_svd",
  "galore",
  "fira",
  "apollo",
  "apollo_mini",
  "badam",
  "adamw_8bit",
  "lion",
  "scale",
] as const;
/**
 * Whose subspaces change by kernels, or by numbers that the host draws. APOLLO's random ones are made anew in each step
 * anyway.
 */
const REFRESHING: ReadonlySet<OptimizerName> = new Set(["frugal", "frugal_blocks", "frugal_svd", "galore", "fira"]);
/**
 * The deeper the layer that BAdam trains, the more of a backward pass it takes: each step trains another, for the mean
 * of them.
 */
const ALTERNATING: ReadonlySet<OptimizerName> = new Set(["badam"]);

const WARM_UP_STEPS = 2;
/** Steps of training, more than are ever run. */
const MAX_STEPS = 1_000_000;
/**
 * Trainers stay open from block to block as long as their buffers fit into this; further ones are opened for each
 * block.
 */
const KEPT_BYTES = 2 * 2 ** 30;

interface Contestant extends StepTimes {
  /** The work with the optimizer's settings. */
  readonly work: Work;
}

export async function measureOptimizers(
  { work: name, steps, stepsPerWait, rounds, clock, availableBytes }: OptimizersTask,
): Promise<OptimizersReport> {
  const gpu = await openGpu(), work = WORKS[name];
  const contestants = [
    ...OPTIMIZERS.flatMap((optimizer) => contestantsOf(work, optimizer)),
    contestant(work, "adamw", false),
  ];
  const trainers = new Trainers(gpu, stepsPerWait, availableBytes);
  for (let round = 0; round < rounds; round++) {
    for (const one of contestants) {
      const { blocks, work } = one;
      const { milliseconds, dispatches } = await trainers.use(
        work,
        (trainer) => block(trainer, work, steps, stepsPerWait),
      );
      blocks.push(milliseconds);
      one.dispatches = dispatches;
    }
  }
  trainers.destroy();
  const updates = await measureUpdates(gpu, work, openClock(gpu.device, clock), availableBytes);
  const failure = gpu.uncaptured();
  if (failure) throw failure;
  return { adapter: gpu.adapter.name, training: contestants.map(({ work: _work, ...times }) => times), updates };
}

function contestantsOf(work: Work, optimizer: OptimizerName): Contestant[] {
  const plain = contestant(work, optimizer, ALTERNATING.has(optimizer));
  return REFRESHING.has(optimizer) ? [plain, contestant(work, optimizer, true)] : [plain];
}

function contestant(work: Work, optimizer: OptimizerName, refreshes: boolean): Contestant {
  const settings = { optim: optimizer, max_steps: MAX_STEPS, optim_args: { update_gap: refreshes ? 1 : MAX_STEPS } };
  return { optimizer, refreshes, work: { ...work, ...settings }, blocks: [], dispatches: 0 };
}

/**
 * As runScrimp in scrimp.ts measures, on a trainer that may have trained before: milliseconds a step, a number for each
 * wait, and dispatches a step.
 */
async function block(
  trainer: Trainer,
  work: Work,
  steps: number,
  stepsPerWait: number,
): Promise<{ milliseconds: number[]; dispatches: number }> {
  const run = async (count: number): Promise<number> => {
    const begun = performance.now();
    for (let i = 0; i < count; i++) trainStep(trainer, work);
    const metrics = await trainer.readMetrics();
    const milliseconds = (performance.now() - begun) / count;
    if (metrics.some(({ skipped }) => skipped)) {
      throw new Error(`Cannot time step ${trainer.steps}: it was skipped, as its gradient is not finite`);
    }
    return milliseconds;
  };
  for (let step = 0; step < WARM_UP_STEPS; step++) await run(1);
  const { counters } = trainer.executor, before = counters.dispatches, milliseconds: number[] = [];
  for (let done = 0; done < steps; done += stepsPerWait) {
    milliseconds.push(await run(Math.min(stepsPerWait, steps - done)));
  }
  return { milliseconds, dispatches: (counters.dispatches - before) / steps };
}

/** Trainers by their work, kept open while memory allows. */
class Trainers {
  readonly #gpu: Gpu;
  readonly #stepsPerWait: number;
  readonly #availableBytes: number;
  readonly #kept = new Map<Work, Trainer>();
  #keptBytes = 0;

  constructor(gpu: Gpu, stepsPerWait: number, availableBytes: number) {
    this.#gpu = gpu;
    this.#stepsPerWait = stepsPerWait;
    this.#availableBytes = availableBytes;
  }

  async use<T>(work: Work, body: (trainer: Trainer) => Promise<T>): Promise<T> {
    const kept = this.#kept.get(work);
    if (kept) return await body(kept);
    const trainer = await openTrainer(
      this.#gpu,
      work,
      Math.max(WARM_UP_STEPS, this.#stepsPerWait),
      this.#availableBytes - this.#keptBytes,
    );
    const bytes = trainer.executor.plan.buffers.reduce((sum, { bytes }) => sum + bytes, 0);
    const result = await body(trainer);
    // Half of what is there, so that another trainer can always be opened.
    if (this.#keptBytes + bytes <= Math.min(KEPT_BYTES, this.#availableBytes / 2)) {
      this.#kept.set(work, trainer);
      this.#keptBytes += bytes;
    } else trainer.destroy();
    return result;
  }

  destroy(): void {
    for (const trainer of this.#kept.values()) trainer.destroy();
    this.#kept.clear();
  }
}
