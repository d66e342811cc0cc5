// One measurement of loading.deno.ts, in a process of its own so that its memory is its own: takes a task as its
// argument, prints the result as its last line.

import { cpuUsage } from "node:process";
import { loadWeights } from "../../src/checkpoint/model/load.ts";
import { openPretrained, type Pretrained } from "../../src/checkpoint/model/pretrained.ts";
import { directoryFolder } from "../../src/checkpoint/source/directory.deno.ts";
import type { Batch } from "../../src/data/batch.ts";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { bytesByRole, totalBytes } from "../../src/plan/ledger.ts";
import { parseConfig } from "../../src/recipe/config/config.ts";
import { planRun } from "../../src/recipe/run.ts";
import { Trainer } from "../../src/train/trainer.ts";

export interface LoadingTask {
  /**
   * "device" opens one and does nothing; "read" reads the file as loading does; "load" brings it to the device; "step"
   * trains there too.
   */
  readonly measurement: "device" | "read" | "load" | "step";
  readonly folder: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface LoadingResult {
  readonly adapter: string;
  /** Bytes of the file. */
  readonly bytes: number;
  /**
   * For all of them: by the clock, and of all processors together. The latter says what an idle machine would take at
   * most.
   */
  readonly seconds: number;
  readonly processorSeconds: number;
  /** Bytes of the process: when its kernels were compiled, and the most until the file was loaded. */
  readonly compiledBytes: number;
  readonly peakBytes: number;
  /** Planned bytes, those of them that exist, and those that loading fills. */
  readonly plannedBytes: number;
  readonly allocatedBytes: number;
  readonly filledBytes: number;
  /** Milliseconds of each step after the first. */
  readonly secondsOfSteps: readonly number[];
  readonly losses: readonly number[];
}

/** The first of them compiles what the driver had put off. */
const STEPS = 2;

const { measurement, folder, settings } = JSON.parse(Deno.args[0]!) as LoadingTask;
console.log(JSON.stringify(await measure()));
Deno.exit(0); // open devices would keep it running

async function measure(): Promise<Partial<LoadingResult>> {
  if (measurement === "read") return await timed(readAll);
  const gpu = await openGpu(), adapter = gpu.adapter.name;
  if (measurement === "device") return { adapter, peakBytes: await peakBytes() };
  return { adapter, ...await load(gpu) };
}

async function readAll(): Promise<number> {
  const { weights } = await openPretrained(directoryFolder(folder));
  for (const entry of weights.tensors.values()) for await (const _ of weights.pieces(entry));
  return bytesOf(weights);
}

/**
 * Loading is opening the folder, writing every weight, and waiting for the device to have them: neither planning nor
 * compiling.
 */
async function load(gpu: Gpu): Promise<Partial<LoadingResult>> {
  const { architecture, json, storedAs } = await openPretrained(directoryFolder(folder)),
    config = parseConfig({ model: folder, ...settings });
  const { model, programs, plan } = planRun(config, {
    vocab_size: 0,
    target: gpu.target,
    base: { architecture, json, storedAs },
  });
  let compiledBytes = 0, loading = { bytes: 0, seconds: 0, processorSeconds: 0 };
  const trainer = await Trainer.create(gpu, model, programs, plan, {
    seed: 1,
    load: async (executor, model) => {
      compiledBytes = Deno.memoryUsage().rss;
      let written: Awaited<ReturnType<typeof loadWeights>>;
      loading = await timed(async () => {
        const { weights } = await openPretrained(directoryFolder(folder));
        written = await loadWeights(executor, model, weights);
        // Written data is on its way only when something is submitted.
        gpu.device.queue.submit([]);
        await gpu.device.queue.onSubmittedWorkDone();
        return bytesOf(weights);
      });
      return written!;
    },
  });
  const planned = bytesByRole(plan.buffers),
    facts = {
      ...loading,
      compiledBytes,
      peakBytes: await peakBytes(),
      plannedBytes: totalBytes(planned),
      filledBytes: planned.frozen,
    };
  const allocatedBytes = totalBytes(trainer.executor.allocatedBytes);
  return {
    ...facts,
    allocatedBytes,
    ...(measurement === "step" &&
      { ...await train(trainer, config.max_length, json["vocab_size"] as number), peakBytes: await peakBytes() }),
  };
}

async function train(
  trainer: Trainer,
  T: number,
  vocab_size: number,
): Promise<Pick<LoadingResult, "secondsOfSteps" | "losses">> {
  const ids = Uint32Array.from({ length: T + 1 }, (_, i) => (i * 7919 + 13) % vocab_size);
  const batch: Batch = { input_ids: ids.slice(0, T), labels: ids.slice(1) };
  const secondsOfSteps: number[] = [], losses: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const { seconds } = await timed(async () => {
      trainer.step([batch], 1e-3);
      losses.push(...(await trainer.readMetrics()).map(({ loss }) => loss));
      return 0;
    });
    if (step > 0) secondsOfSteps.push(seconds);
  }
  return { secondsOfSteps, losses };
}

function bytesOf({ sources }: Pretrained["weights"]): number {
  return sources.reduce((sum, { size }) => sum + size, 0);
}

async function timed(
  body: () => Promise<number>,
): Promise<Pick<LoadingResult, "bytes" | "seconds" | "processorSeconds">> {
  const begun = performance.now(), before = cpuUsage(), bytes = await body();
  const seconds = (performance.now() - begun) / 1000, { user, system } = cpuUsage(before);
  return { bytes, seconds, processorSeconds: (user + system) / 1e6 };
}

/** The most memory that this process ever had, as Linux tells; elsewhere what it has now. */
async function peakBytes(): Promise<number> {
  const status = await Deno.readTextFile("/proc/self/status").catch(() => ""),
    peak = /^VmHWM:\s+(\d+) kB$/m.exec(status);
  return peak ? 1024 * Number(peak[1]) : Deno.memoryUsage().rss;
}
