// Runs the contestants in alternating blocks: scrimp, jax-js, pytorch, scrimp, jax-js, pytorch, ... The load of the
// machine, and its heat, then fall on all alike. The same code in Deno and a page, where those for WebGPU share a
// process and an adapter; PyTorch has a process of its own, which sleeps while others train.

import { runJaxJs } from "./jax_js.ts";
import { type AskPyTorch, runPyTorch } from "./pytorch.ts";
import { referenceLoss } from "./reference_loss.ts";
import { refuseMisfit, runScrimp } from "./scrimp.ts";
import { give, installTally, take } from "./tally.ts";
import { tokenBatch, type Work, WORKS } from "./works.ts";

export interface BlocksTask {
  readonly measurement: "trainers";
  readonly work: Work["name"];
  /** Timed steps of a block. */
  readonly steps: number;
  readonly stepsPerWait: number;
  /** Blocks that each contestant gets. */
  readonly rounds: number;
  /** Contestants that do not take part, with the reason. */
  readonly absent: Readonly<Record<string, string>>;
  /** The Python that has PyTorch, where there is one. */
  readonly pytorch?: { readonly command: string; readonly version: string };
  /** Bytes of the host's memory, which is a software adapter's too. */
  readonly availableBytes: number;
}

/** The result of one contestant. Milliseconds are per step. */
export interface Outcome {
  readonly name: string;
  /** Why it did not finish, if so. */
  error?: string;
  /** Three steps with tracing, compiling and uploading. */
  start?: number;
  /** One number per wait of `stepsPerWait` steps. */
  readonly milliseconds: number[];
  /** One number per step, waiting for each. The wait itself (mapAsync) blocks and costs 11 ms or more in Deno. */
  readonly eachStep: number[];
  losses: number[];
  /** Absent, as bytes are, for who does not use WebGPU. */
  perStep?: { dispatches: number; submits: number };
  peakBytes?: number;
  counters?: Record<string, number>;
}

export interface Report {
  readonly adapter: string;
  /** Loss of the first step in f64. Absent for a work that would take JavaScript minutes. */
  readonly reference?: number;
  readonly outcomes: Outcome[];
}

interface Block {
  milliseconds: number[];
  losses: number[];
  counters?: Record<string, number>;
}

type Contestant = (work: Work, steps: number, stepsPerWait: number, availableBytes: number) => Promise<Block>;

/** The contestants in their order, which is that of the report. */
const contestants = (askPyTorch: AskPyTorch): Record<string, Contestant> => ({
  "scrimp": runScrimp,
  "jax-js": runJaxJs,
  "pytorch": (work, steps, stepsPerWait) => runPyTorch(askPyTorch, work, steps, stepsPerWait),
});

/** @param askPyTorch how to reach PyTorch, unless the plan has it absent. */
export async function runBlocks(plan: BlocksTask, askPyTorch: AskPyTorch): Promise<Report> {
  installTally();
  const work = WORKS[plan.work];
  await refuseMisfit(work, plan.stepsPerWait, plan.availableBytes);
  const trainers = contestants(askPyTorch);
  const outcomes: Outcome[] = Object.keys(trainers).map((name) => ({
    name,
    milliseconds: [],
    eachStep: [],
    losses: [],
    ...(plan.absent[name] === undefined ? {} : { error: plan.absent[name] }),
  }));

  const block = async (outcome: Outcome, steps: number, stepsPerWait: number, use: (block: Block) => void) => {
    if (outcome.error !== undefined) return undefined;
    give(outcome.name);
    try {
      use(await trainers[outcome.name]!(work, steps, stepsPerWait, plan.availableBytes));
    } catch (error) {
      outcome.error = error instanceof Error ? error.message : String(error);
    }
    const tally = take();
    if (tally.peakBytes > 0) outcome.peakBytes = tally.peakBytes;
    return tally;
  };

  for (const outcome of outcomes) {
    const begin = performance.now();
    await block(outcome, 1, 1, () => {
      outcome.start = performance.now() - begin;
    });
    // The difference of two blocks counts steps alone, without what a block does before its first.
    const short = await block(outcome, 1, 1, () => {});
    const long = await block(outcome, 3, 1, () => {});
    if (outcome.error !== undefined || !short || !long || long.dispatches === 0) continue;
    outcome.perStep = {
      dispatches: (long.dispatches - short.dispatches) / 2,
      submits: (long.submits - short.submits) / 2,
    };
  }
  for (let round = 0; round < plan.rounds; round++) {
    for (const outcome of outcomes) {
      await block(outcome, plan.steps, plan.stepsPerWait, ({ milliseconds, losses, counters }) => {
        outcome.milliseconds.push(...milliseconds);
        outcome.losses = losses;
        if (counters) outcome.counters = counters;
      });
    }
    for (const outcome of outcomes) {
      await block(outcome, plan.steps, 1, ({ milliseconds }) => outcome.eachStep.push(...milliseconds));
    }
  }

  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  const { vendor, architecture, device, description } = adapter?.info ?? {};
  return {
    adapter: description || [vendor, architecture, device].filter(Boolean).join(" ") || "unknown adapter",
    ...(work.name === "C" ? {} : { reference: referenceLoss(work, tokenBatch(work, 0)) }),
    outcomes,
  };
}
