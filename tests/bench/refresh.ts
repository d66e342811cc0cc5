// The refresh of a projector of singular vectors, beside a training step of the model that it is part of: LLaMA 60M as
// in
// FRUGAL's repository (Zmushko et al., 2025), whose largest linear layers are (1376, 512) and whose rank is 128 at a
// density of 0.25.

import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { fillNormal } from "../../src/random/philox.ts";
import { countParameters } from "../../src/models/parameter.ts";
import { powerIteration } from "../../src/optim/split/basis/power_iteration.ts";
import { stepInputsTensor } from "../../src/optim/step/step_inputs.ts";
import { Executor } from "../../src/plan/executor.ts";
import { bytesByRole, checkFits, totalBytes } from "../../src/plan/ledger.ts";
import { planMemory } from "../../src/plan/memory.ts";
import { Recorder } from "../../src/plan/recorder.ts";
import { tensor } from "../../src/plan/tensor.ts";
import { parseConfig } from "../../src/recipe/config/config.ts";
import { planRun } from "../../src/recipe/run.ts";
import { planPrograms } from "../../src/train/programs.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { type Clock, type ClockKind, openClock } from "./clock.ts";

export interface RefreshTask {
  readonly measurement: "refresh";
  readonly work: "60M";
  readonly rounds: number;
  readonly clock?: ClockKind;
  readonly availableBytes: number;
}

export interface RefreshReport {
  readonly adapter: string;
  readonly clock: ClockKind;
  /** Rows, columns and rank. */
  readonly size: readonly [number, number, number];
  /** Milliseconds, a number for each round. */
  readonly warm: readonly number[];
  readonly cold: readonly number[];
  /** Or why there was none. */
  readonly step: { readonly milliseconds: number; readonly parameters: number; readonly plannedBytes: number } | {
    readonly skipped: string;
  };
}

const LLAMA_60M = {
  hidden_size: 512,
  intermediate_size: 1376,
  num_hidden_layers: 8,
  num_attention_heads: 8,
  num_key_value_heads: 8,
  vocab_size: 32000,
  rms_norm_eps: 1e-6,
  tie_word_embeddings: false,
  max_length: 256,
  // The authors train on batches of 512.
  per_device_train_batch_size: 1,
  max_grad_norm: 0,
} as const;
const RANK = 128;

export async function measureRefresh({ rounds, clock: kind, availableBytes }: RefreshTask): Promise<RefreshReport> {
  const gpu = await openGpu(), clock = openClock(gpu.device, kind);
  const times = await timeRefreshes(gpu, clock, rounds), step = await timeStep(gpu, availableBytes);
  const failure = gpu.uncaptured();
  if (failure) throw failure;
  return {
    adapter: gpu.adapter.name,
    clock: clock.kind,
    size: [LLAMA_60M.intermediate_size, LLAMA_60M.hidden_size, RANK],
    ...times,
    step,
  };
}

async function timeRefreshes(gpu: Gpu, clock: Clock, rounds: number): Promise<{ warm: number[]; cold: number[] }> {
  const { intermediate_size: m, hidden_size: n } = LLAMA_60M;
  const gradient = tensor("gradient", [m, n], "state"),
    basis = tensor("basis", [n, RANK], "state"),
    step = stepInputsTensor("step inputs");
  const program = (name: string, cold: boolean) => {
    const r = new Recorder({ target: gpu.target, training: true });
    powerIteration(r, gradient, basis, "right", step, { seed: 0, purpose: "basis", cold });
    return { name, steps: r.steps };
  };
  const cold = program("cold", true), warm = program("warm", false);
  const executor = await Executor.create(gpu, planMemory([cold, warm]));
  const values = new Float32Array(m * n);
  fillNormal(values, 0.01, 0, "gradient");
  executor.write(gradient, values);
  const times = { warm: [] as number[], cold: [] as number[] };
  // The drivers' compiling at the first launch is not counted.
  for (const one of [cold, warm]) executor.run(one);
  for (let round = 0; round < rounds; round++) {
    times.cold.push(await clock.time(() => executor.run(cold)));
    times.warm.push(await clock.time(() => executor.run(warm)));
  }
  executor.destroy();
  return times;
}

/**
 * The second step, as it takes seconds on a software adapter, beside which waiting for it is nothing. AdamW's: those of
 * low rank take longer.
 */
async function timeStep(gpu: Gpu, availableBytes: number): Promise<RefreshReport["step"]> {
  const config = parseConfig({ ...LLAMA_60M, tokenizer: "byte" });
  const { model, programs: { evaluate: _evaluate, generate: _generate, ...programs } } = planRun(config, {
    vocab_size: config.vocab_size,
    target: gpu.target,
  });
  const plan = planPrograms(programs);
  try {
    checkFits(plan, gpu.adapter.limits, gpu.adapter.software ? availableBytes : Infinity);
  } catch (error) {
    return { skipped: (error as Error).message };
  }
  const trainer = await Trainer.create(gpu, model, programs, plan, { seed: 0 });
  const tokens = config.max_length,
    ids = Uint32Array.from({ length: tokens + 1 }, (_, i) => (7919 * i) % config.vocab_size);
  const batch = { input_ids: ids.slice(0, tokens), labels: ids.slice(1) };
  let milliseconds = 0;
  for (let step = 0; step < 2; step++) {
    const begun = performance.now();
    trainer.step([batch], 1e-3);
    const [metrics] = await trainer.readMetrics();
    milliseconds = performance.now() - begun;
    if (metrics!.skipped) {
      throw new Error(`Cannot time step ${step} of LLaMA 60M: it was skipped, as its gradient is not finite`);
    }
  }
  trainer.destroy();
  return {
    milliseconds,
    parameters: countParameters(model.parameters),
    plannedBytes: totalBytes(bytesByRole(plan.buffers)),
  };
}
