// The adapter's measured peaks: what no kernel can exceed in arithmetic, and none on data outside the caches in
// bandwidth.
//   They are recorded, planned and run as a training step is, and timed by the same clock.

import type { Gpu } from "../../src/gpu/device.ts";
import { defineKernel, perThread } from "../../src/gpu/kernel.ts";
import { Executor } from "../../src/plan/executor.ts";
import { planMemory } from "../../src/plan/memory.ts";
import { type Program, Recorder } from "../../src/plan/recorder.ts";
import { tensor } from "../../src/plan/tensor.ts";
import { type Clock, longEnough, repeated, summarize } from "./clock.ts";
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };
import copyCode from "./probe_copy.wgsl" with { type: "text" };
import fmaCode from "./probe_fma.wgsl" with { type: "text" };

export interface Peaks {
  readonly gflops: number;
  readonly gigabytesPerSecond: number;
  /** Which probe was the fastest. */
  readonly fastest: string;
}

/** Steps of a chain in one turn of the loop. */
const UNROLL = 16;
const ROUNDS = 15;

const fmaKernel = defineKernel({
  name: "probe_fma",
  code: fmaCode,
  libraries: [threadCode],
  reads: {},
  writes: { out: "array<f32>" },
  params: { n: "u32", turns: "u32", a: "f32", b: "f32" },
  constants: { WORKGROUP: 64, CHAINS: 8, UNROLL, FUSED: true },
  groups: perThread,
});

const copyKernel = defineKernel({
  name: "probe_copy",
  code: copyCode,
  libraries: [threadCode],
  reads: { x: "array<vec4f>" },
  writes: { out: "array<vec4f>" },
  params: { n: "u32" },
  constants: { WORKGROUP: 256 },
  groups: perThread,
});

/** A few chains suit the 16 vector registers of a CPU and the occupancy of a GPU, more hide a longer latency. */
const CHAINS = [8, 12, 16];
/**
 * 1 GFLOP with 8 chains: long beside a launch on a GPU, and short enough on a busy CPU to be left alone once in a
 * while.
 */
const THREADS = 2 ** 18, TURNS = 16;
/** WebGPU's default limit of a binding, which every adapter has. */
const COPIED_BYTES = 128 * 2 ** 20;

/** Measures both peaks, in some seconds on two cores. */
export async function measurePeaks(gpu: Gpu, clock: Clock): Promise<Peaks> {
  const out = tensor("out", [THREADS], "output");
  const arithmetic = CHAINS.flatMap((count) =>
    [true, false].map((isFused) => ({
      name: `${count} chains of ${isFused ? "fma" : "x * a + b"}`,
      work: 2 * count * UNROLL * TURNS * THREADS,
      // Towards 1, so that no number overflows or becomes denormal.
      many: probe(gpu, (r) =>
        r.run(fmaKernel.with({ CHAINS: count, FUSED: isFused }), { out }, {
          n: THREADS,
          turns: TURNS,
          a: 0.5,
          b: 0.5,
        })),
    }))
  );
  const x = tensor("x", [COPIED_BYTES / 4], "frozen"), copy = tensor("copy", [COPIED_BYTES / 4], "state");
  const copying = {
    name: "copy",
    work: 2 * COPIED_BYTES,
    many: probe(gpu, (r) => r.run(copyKernel, { x, out: copy }, { n: COPIED_BYTES / 64 })),
  };

  const probes = [...arithmetic, copying];
  const executor = await Executor.create(gpu, planMemory(probes.flatMap(({ many }) => many)));
  const times = new Map<string, number[]>(probes.map(({ name }) => [name, []]));
  for (const { many } of probes) executor.run(many[0]!);
  const chosen = new Map<string, Program>();
  for (const { name, many } of probes) chosen.set(name, await longEnough(clock, executor, many));
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name } of probes) {
      const program = chosen.get(name)!;
      times.get(name)!.push(await clock.time(() => executor.run(program)) / program.steps.length);
    }
  }
  executor.destroy();
  const rateOf = ({ name, work }: { readonly name: string; readonly work: number }): number =>
    work / summarize(clock, times.get(name)!) / 1e6;
  const fastest = arithmetic.reduce((a, b) => (rateOf(b) > rateOf(a) ? b : a));
  return { gflops: rateOf(fastest), gigabytesPerSecond: rateOf(copying), fastest: fastest.name };
}

/** The better of two measurements: far apart in time, they seldom both hit a busy moment. */
export function better(a: Peaks, b: Peaks): Peaks {
  const { gflops, fastest } = a.gflops > b.gflops ? a : b;
  return { gflops, fastest, gigabytesPerSecond: Math.max(a.gigabytesPerSecond, b.gigabytesPerSecond) };
}

function probe({ target }: Gpu, record: (r: Recorder) => void): Program[] {
  const r = new Recorder({ target, training: false });
  record(r);
  return repeated(r.steps[0]!);
}
