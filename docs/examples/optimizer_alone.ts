// Uses an optimizer by itself: FRUGAL on one matrix, whose gradient the host computes.

import { parameter } from "scrimp/models";
import { copyTensor } from "scrimp/ops";
import { createOptimizer, packSchedule, recordUpdates, scheduleTensor } from "scrimp/optim";
import { type Data, Executor, openGpu, planMemory, Recorder, type Tensor, tensor } from "scrimp/plan";

const SHAPE = [8, 16], STEPS = 60;
const weight = parameter("weight", SHAPE, "zeros"), gradient = tensor("gradient", SHAPE, "input");
const optimizer = createOptimizer("frugal", [weight], { optim_args: { density: 0.25, update_gap: 10 } });
const schedule = scheduleTensor("schedule"), gpu = await openGpu();

const r = new Recorder({ target: gpu.target, training: true });
// Updates may overwrite their gradient, and this one is the host's.
recordUpdates(r, optimizer, "train", new Map([[weight, copyTensor(r, gradient)]]), { schedule, max_grad_norm: 0 });
const step = { name: "step", steps: r.steps };

const executor = await Executor.create(gpu, planMemory([step]));
executor.write(weight.value, new Float32Array(128));
for (let i = 0; i < STEPS; i++) {
  const values = await executor.read(weight.value);
  executor.writeInputs(
    new Map<Tensor, Data>([
      ...optimizer.at(i).inputs,
      [gradient, values.map((value, place) => value - Math.sin(place))],
      [schedule, packSchedule({ learning_rate: 0.05 * (1 - i / STEPS), loss_scale: 1, metrics_row: 0 })],
    ]),
  );
  executor.run(step);
}
const distance = Math.hypot(...(await executor.read(weight.value)).map((value, place) => value - Math.sin(place)));
console.log(`distance to the minimum: ${distance.toFixed(3)}, with state for a quarter of the columns`);
executor.destroy();
