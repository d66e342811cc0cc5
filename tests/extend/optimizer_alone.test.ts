// An optimizer by itself: FRUGAL on one tensor whose gradient the host computes. Public entry points only.

import { Executor, openGpu, planMemory, Recorder, tensor } from "../../src/exports/plan.ts";
import { parameter } from "../../src/exports/models.ts";
import { copyTensor } from "../../src/exports/ops.ts";
import { createOptimizer, packSchedule, recordUpdates, scheduleTensor } from "../../src/exports/optim.ts";
import { assert, assertEquals, test } from "../harness.ts";

const SHAPE = [8, 16], N = 128, STEPS = 60;

test("FRUGAL brings one matrix to the minimum of a quadratic, with state for a quarter of its columns", async () => {
  const weight = parameter("weight", SHAPE, "zeros"), gradient = tensor("gradient", SHAPE, "input");
  const optimizer = createOptimizer("frugal", [weight], { optim_args: { density: 0.25, update_gap: 10 } });
  const schedule = scheduleTensor("schedule");

  const r = new Recorder({ target: "portable", training: true });
  // Updates may overwrite their gradient, and this one is the host's.
  const gradients = new Map([[weight, copyTensor(r, gradient)]]);
  recordUpdates(r, optimizer, "train", gradients, { schedule, max_grad_norm: 0 });
  const step = { name: "step", steps: r.steps };
  const state = optimizer.state.get(weight)!;
  assertEquals(state.map(({ shape }) => shape.reduce((a, b) => a * b)), [N / 4, N / 4]);

  const executor = await Executor.create(await openGpu(), planMemory([step]));
  try {
    executor.write(weight.value, new Float32Array(N));
    const goal = Float32Array.from({ length: N }, (_, i) => Math.sin(i));
    const distance = (values: Float32Array): number => Math.hypot(...values.map((w, i) => w - goal[i]!));
    const first = distance(new Float32Array(N));
    for (let i = 0; i < STEPS; i++) {
      const values = await executor.read(weight.value);
      executor.writeInputs(
        new Map<typeof gradient, Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>([
          ...optimizer.at(i).inputs,
          [gradient, values.map((w, j) => w - goal[j]!)],
          [schedule, packSchedule({ learning_rate: 0.05 * (1 - i / STEPS), loss_scale: 1, metrics_row: 0 })],
        ]),
      );
      executor.run(step);
    }
    const last = distance(await executor.read(weight.value));
    assert(last < 0.1 * first, `the distance fell from ${first} to ${last} only`);
  } finally {
    executor.destroy();
  }
});
