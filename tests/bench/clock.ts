// How long the GPU takes for one compute pass, and for one dispatch.

import type { Executor } from "../../src/plan/executor.ts";
import type { Program, Step } from "../../src/plan/recorder.ts";

export type ClockKind = "timestamps" | "waits";

export interface Clock {
  readonly kind: ClockKind;
  /** Milliseconds that the GPU takes for what `run` submits: one compute pass. It may be called many times. */
  time(run: () => void): Promise<number>;
}

/** One number for several times of the same thing: others can only add to a time, but a difference errs both ways. */
export function summarize({ kind }: Clock, times: readonly number[]): number {
  return kind === "timestamps" ? Math.min(...times) : median(times);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)]! + sorted[Math.ceil((sorted.length - 1) / 2)]!) / 2;
}

/** The adapter's own clock where it has one, unless told otherwise. */
export function openClock(device: GPUDevice, kind: ClockKind | undefined): Clock {
  if (kind === "timestamps" && !device.features.has("timestamp-query")) {
    throw new Error(
      "Cannot use --clock timestamps: the adapter has no timestamp-query. Leave it out to measure by waits",
    );
  }
  return kind !== "waits" && device.features.has("timestamp-query") ? timestamps(device) : waits(device);
}

/**
 * Timestamps at both ends of the pass. The executor opens its passes itself, so the call is wrapped, as in tally.ts.
 * Chrome rounds them to 65 µs without --disable-dawn-features=timestamp_quantization, so passes should be much longer.
 */
function timestamps(device: GPUDevice): Clock {
  const querySet = device.createQuerySet({ label: "clock", type: "timestamp", count: 2 });
  const resolved = device.createBuffer({
    label: "clock",
    size: 16,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  });
  const read = device.createBuffer({
    label: "clock read",
    size: 16,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  const original = GPUCommandEncoder.prototype.beginComputePass;
  const timestampWrites = { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
  return {
    kind: "timestamps",
    async time(run) {
      GPUCommandEncoder.prototype.beginComputePass = function (descriptor) {
        return original.call(this, { ...descriptor, timestampWrites });
      };
      try {
        run();
      } finally {
        GPUCommandEncoder.prototype.beginComputePass = original;
      }
      const encoder = device.createCommandEncoder();
      encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, read, 0, 16);
      device.queue.submit([encoder.finish()]);
      await read.mapAsync(GPUMapMode.READ);
      const [begin, end] = new BigUint64Array(read.getMappedRange());
      const nanoseconds = Number(end! - begin!);
      read.unmap();
      return nanoseconds / 1e6;
    },
  };
}

/** Added time that a difference of two measurements needs: a wait ends up to some 10 ms late in Deno. */
const LONG_MS = 100;

/** The difference between running once and running several times, each with one wait: what a wait costs cancels out. */
function waits(device: GPUDevice): Clock {
  const elapsed = async (run: () => void, count: number): Promise<number> => {
    await device.queue.onSubmittedWorkDone();
    const begun = performance.now();
    for (let i = 0; i < count; i++) run();
    await device.queue.onSubmittedWorkDone();
    return performance.now() - begun;
  };
  return {
    kind: "waits",
    async time(run) {
      const once = await elapsed(run, 1);
      for (let more = 1;; more *= 4) {
        const added = await elapsed(run, 1 + more) - once;
        if (added >= LONG_MS || more >= 256) return Math.max(0, added) / more;
      }
    },
  };
}

/** How often a dispatch is repeated in a pass: as few times as make the pass long enough to be timed. */
const REPEATS = [1, 4, 16, 256];
const LONG_ENOUGH_MS = 5;
/**
 * The most for a kernel that works in place, and so on other numbers each time: those of swiglu_backward shrink until
 * they are denormal, which takes a CPU twice as long (from 16 times on; with 4 it took as long as alone).
 */
const REPEATS_IN_PLACE = 4;

/** Programs that repeat one step, to be planned beside the others. */
export function repeated(step: Step): Program[] {
  const isInPlace = Object.keys(step.kernel.bindings).some((name) => name.endsWith("_inout"));
  const counts = REPEATS.filter((count) => !isInPlace || count <= REPEATS_IN_PLACE);
  return counts.map((count) => ({ name: "repeated", steps: Array<Step>(count).fill(step) }));
}

/** The first of `repeated` programs that is long enough. Run one before: drivers compile at the first launch. */
export async function longEnough(clock: Clock, executor: Executor, programs: readonly Program[]): Promise<Program> {
  for (const program of programs.slice(0, -1)) {
    if (await clock.time(() => executor.run(program)) >= LONG_ENOUGH_MS) return program;
  }
  return programs.at(-1)!;
}
