// Times every distinct dispatch of a training step, one by one, beside the adapter's measured peaks.
// The memory is that of the real run. What comes before a dispatch is run before it is timed, so that it finds the
// numbers
// it would find; then it is repeated within one compute pass. Its operands may lie in caches by then, which favours it.

import { type KernelTarget, openGpu } from "../../src/gpu/device.ts";
import type { Program, Step } from "../../src/plan/recorder.ts";
import { size } from "../../src/plan/tensor.ts";
import { planPrograms } from "../../src/train/programs.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { type ClockKind, longEnough, median, openClock, repeated, summarize } from "./clock.ts";
import { type Cost, costOf } from "./costs.ts";
import { better, measurePeaks, type Peaks } from "./peaks.ts";
import { planWork, setWeights, trainStep } from "./scrimp.ts";
import { type Work, WORKS } from "./works.ts";

export interface KernelsTask {
  readonly measurement: "kernels";
  readonly work: Work["name"];
  /** The adapter's own if absent. */
  readonly variant?: KernelTarget;
  readonly clock?: ClockKind;
  readonly rounds: number;
  readonly availableBytes: number;
}

export interface KernelRow extends Cost {
  readonly kernel: string;
  readonly sizes: string;
  /** The values that the first such dispatch writes. */
  readonly writes: string;
  readonly countPerStep: number;
  /** Milliseconds of one dispatch: what stands for the rounds (`summarize`), and their median. */
  readonly microseconds: number;
  readonly medianMicroseconds: number;
}

export interface KernelsReport {
  readonly adapter: string;
  readonly variant: KernelTarget;
  readonly clock: ClockKind;
  readonly peaks: Peaks;
  /** A whole step in one pass, as above. */
  readonly stepMilliseconds: number;
  readonly medianStepMilliseconds: number;
  readonly dispatches: number;
  readonly rows: readonly KernelRow[];
}

export async function measureKernels(task: KernelsTask): Promise<KernelsReport> {
  const gpu = await openGpu(task.variant ? { target: task.variant } : {});
  const clock = openClock(gpu.device, task.clock);
  const work = WORKS[task.work];
  // Only what a step of training needs: the real plan has evaluation and generation too, in the same memory.
  const { model, programs: { evaluate: _evaluate, generate: _generate, ...programs } } = planWork(
    gpu,
    work,
    1,
    task.availableBytes,
  );
  const peaksBefore = await measurePeaks(gpu, clock);

  const train = programs.train.programs.values().next().value!;
  const groups = [...Map.groupBy(train.steps, keyOf).values()].map((steps) => {
    const step = steps[0]!;
    return {
      step,
      count: steps.length,
      before: { name: "before", steps: train.steps.slice(0, train.steps.indexOf(step)) },
      many: repeated(step),
    };
  });
  // The plan of the training step alone decides where everything lies; the other programs only launch parts of it.
  const others = groups.flatMap(({ before, many }) => [before, ...many]);
  const trainer = await Trainer.create(gpu, model, programs, {
    ...planPrograms(programs),
    programs: [train, ...others],
  }, { seed: 0 });
  setWeights(trainer, work);
  for (let step = 0; step < 2; step++) trainStep(trainer, work);

  const { executor } = trainer;
  const chosen: Program[] = [];
  for (const { before, many } of groups) {
    executor.run(before);
    chosen.push(await longEnough(clock, executor, many));
  }
  // Rounds outermost, so that somebody else's busy moment costs each row one of its times and not all of them.
  const whole: number[] = [];
  const times: number[][] = groups.map(() => []);
  for (let round = 0; round < task.rounds; round++) {
    whole.push(await clock.time(() => executor.run(train)));
    for (const [i, { before }] of groups.entries()) {
      const program = chosen[i]!;
      executor.run(before);
      times[i]!.push(await clock.time(() => executor.run(program)) / program.steps.length);
    }
  }
  trainer.destroy();
  const peaks = better(peaksBefore, await measurePeaks(gpu, clock));
  const failure = gpu.uncaptured();
  if (failure) throw failure;
  return {
    adapter: gpu.adapter.name,
    variant: gpu.target,
    clock: clock.kind,
    peaks,
    stepMilliseconds: summarize(clock, whole),
    medianStepMilliseconds: median(whole),
    dispatches: train.steps.length,
    rows: groups.map(({ step, count }, i) => ({
      ...costOf(step),
      kernel: step.kernel.name,
      sizes: sizesOf(step),
      writes: step.tensors[Object.values(step.kernel.bindings).indexOf("read_write")]!.label,
      countPerStep: count,
      microseconds: 1000 * summarize(clock, times[i]!),
      medianMicroseconds: 1000 * median(times[i]!),
    })),
  };
}

/** Equal for dispatches that do the same work on other numbers. */
function keyOf(step: Step): string {
  const { kernel, tensors } = step;
  return [kernel.name, JSON.stringify(kernel.constants), sizesOf(step), ...tensors.map(size)].join("|");
}

/** The words that distinguish a dispatch for people. */
function sizesOf({ kernel, params, tensors }: Step): string {
  const { constants } = kernel;
  const marks = [constants.ACCUMULATE && "+=", constants.INVERSE && "inverse", constants.TRANSPOSE && "transposed"]
    .filter(Boolean);
  if (kernel.name.startsWith("matmul")) {
    return [modeOf(constants), `${params.M} × ${params.N} × ${params.K}`, ...marks].join(" ");
  }
  const largest = tensors.reduce((a, b) => (size(b) > size(a) ? b : a));
  return [`(${largest.shape.join(", ")})`, ...marks].join(" ");
}

/** NT, NN or TN. Of the portable kernel's operands an untransposed A runs along k, an untransposed B does not. */
function modeOf({ A_ALONG, B_ALONG, TRANSPOSE_A, TRANSPOSE_B }: Step["kernel"]["constants"]): string {
  const transposed = A_ALONG === undefined ? [TRANSPOSE_A, TRANSPOSE_B] : [!A_ALONG, B_ALONG];
  return transposed.map((is) => (is ? "T" : "N")).join("");
}
