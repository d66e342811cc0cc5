// Trains a work for many steps as the real loop does, and records what a leak would make grow: calls to WebGPU,
// bytes of buffers alive, and the JavaScript heap after garbage collection.

import { openGpu } from "../../src/gpu/device.ts";
import { type BytesByRole, bytesByRole } from "../../src/plan/ledger.ts";
import { openTrainer, trainStep } from "./scrimp.ts";
import { aliveBytes, type Counts, countsOf, give, installTally } from "./tally.ts";
import type { Host } from "./tasks.ts";
import { type Work, WORKS } from "./works.ts";

export interface SteadyTask {
  readonly measurement: "steady";
  readonly work: Work["name"];
  readonly steps: number;
  readonly availableBytes: number;
}

/** Everything so far, after `step` steps. */
export interface Snapshot {
  readonly step: number;
  /** Asked for by the steps themselves. */
  readonly training: Counts;
  /** Asked for by reading the metrics back. */
  readonly reading: Counts;
  readonly reads: number;
  readonly aliveBytes: number;
  readonly heapBytes: number;
  readonly residentBytes?: number;
}

export interface SteadyReport {
  readonly adapter: string;
  readonly snapshots: readonly Snapshot[];
  /** By role. */
  readonly plannedBytes: BytesByRole;
  readonly allocatedBytes: BytesByRole;
  readonly firstLoss: number;
  readonly lastLoss: number;
  readonly millisecondsPerStep: number;
}

/** The default of `logging_steps`, at which the real loop reads back. */
const STEPS_PER_READ = 10;

declare global {
  /** With --expose-gc. */
  var gc: (() => void) | undefined;
}

export async function measureSteadyState(
  { work: name, steps, availableBytes }: SteadyTask,
  host: Host,
): Promise<SteadyReport> {
  installTally();
  give("setup");
  const gpu = await openGpu();
  const work = WORKS[name];
  const trainer = await openTrainer(gpu, work, STEPS_PER_READ, availableBytes);

  const snapshots: Snapshot[] = [];
  const wanted = new Set([2, ...[1, 2, 3, 4].map((quarter) => Math.round((quarter * steps) / 4))]);
  let reads = 0, firstLoss = NaN, lastLoss = NaN, milliseconds = 0;
  for (let step = 1; step <= steps; step++) {
    const begun = performance.now();
    give("training");
    trainStep(trainer, work);
    give("reading");
    if (step % STEPS_PER_READ === 0 || step === steps) {
      const metrics = await trainer.readMetrics();
      reads++;
      if (step === STEPS_PER_READ) firstLoss = metrics[0]!.loss;
      lastLoss = metrics.at(-1)!.loss;
    }
    milliseconds += performance.now() - begun;
    if (wanted.has(step)) {
      snapshots.push({
        ...await memory(host),
        step,
        reads,
        training: countsOf("training"),
        reading: countsOf("reading"),
      });
    }
  }

  const { plan, allocatedBytes } = trainer.executor;
  trainer.destroy();
  return {
    adapter: gpu.adapter.name,
    snapshots,
    plannedBytes: bytesByRole(plan.buffers),
    allocatedBytes,
    firstLoss,
    lastLoss,
    millisecondsPerStep: milliseconds / steps,
  };
}

async function memory(host: Host): Promise<Pick<Snapshot, "aliveBytes" | "heapBytes" | "residentBytes">> {
  if (!globalThis.gc) throw new Error("Cannot collect garbage: the runtime was started without --expose-gc");
  // Memory that one collection finalises is freed by a task, and counted as free by the next.
  for (let round = 0; round < 5; round++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  globalThis.gc();
  const residentBytes = host.residentBytes?.();
  return {
    aliveBytes: aliveBytes(),
    heapBytes: host.heapBytes(),
    ...(residentBytes === undefined ? {} : { residentBytes }),
  };
}
