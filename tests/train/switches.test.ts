// A change of subspace asks no more of WebGPU than any other step.

import { assert, assertEquals, test } from "../harness.ts";
import { batchesOf, prepareTiny, type Settings } from "./tiny.ts";
import { OPTIMIZERS } from "../../src/optim/presets.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { testGpu } from "../test_gpu.ts";

const CASES: Readonly<Record<string, Settings>> = {
  ...Object.fromEntries(OPTIMIZERS.map((optim) => [optim, { optim }])),
  "frugal, randk": { optim: "frugal", optim_args: { split: "randk" } },
  "frugal, falling density": { optim: "frugal", optim_args: { density: 0.5, density_end: 0.1 } },
};

for (const [name, { optim, optim_args = {} }] of Object.entries(CASES)) {
  test(`${name}: steps that switch are one submit each and create nothing`, async () => {
    const gpu = await testGpu();
    const run = prepareTiny(gpu, { optim, optim_args: { ...optim_args as object, update_gap: 2 }, max_steps: 6 });
    const trainer = await Trainer.create(gpu, run.model, run.programs, run.plan, { seed: run.config.seed });
    const before = { ...trainer.executor.counters }, bytes = trainer.executor.allocatedBytes;
    for (let step = 0; step < 6; step++) trainer.step(batchesOf(run, step), 0.01);
    const metrics = await trainer.readMetrics();
    assert(
      metrics.length > 0 && metrics.every(({ loss, skipped }) => Number.isFinite(loss) && !skipped),
      `${name}: ${JSON.stringify(metrics)}`,
    );
    const { submits, buffersCreated, bindGroupsCreated, pipelinesCreated } = trainer.executor.counters;
    const after = [
      submits - before.submits,
      buffersCreated - before.buffersCreated,
      bindGroupsCreated - before.bindGroupsCreated,
      pipelinesCreated - before.pipelinesCreated,
    ];
    assertEquals(after, [6, 0, 0, 0], `${name}: submits, buffers, bind groups, pipelines`);
    assertEquals(trainer.executor.allocatedBytes, bytes, name);
    trainer.destroy();
  });
}
