// Defines a model of one's own, a perceptron with two layers, and trains it on the parity of two bits.

import { initialValues, parameter } from "scrimp/models";
import { crossEntropyOfLogits, linear, tanh } from "scrimp/ops";
import { createOptimizer, packSchedule, recordUpdates, scheduleTensor } from "scrimp/optim";
import { type Data, Executor, openGpu, planMemory, Recorder, type Tensor, tensor } from "scrimp/plan";

const B = 4, HIDDEN = 8;
const w1 = parameter("fc1.weight", [HIDDEN, 2], 1), b1 = parameter("fc1.bias", [HIDDEN], "zeros");
const w2 = parameter("fc2.weight", [2, HIDDEN], 1), parameters = [w1, b1, w2];
const x = { value: tensor("x", [B, 2], "input"), needsGradient: false };
const labels = tensor("labels", [B], "input", "u32"), loss = tensor("loss", [B], "output");
const schedule = scheduleTensor("schedule"), optimizer = createOptimizer("adamw", parameters), gpu = await openGpu();

// Record one training step: forward, backward, updates. Nothing has touched the GPU yet.
const r = new Recorder({ target: gpu.target, training: true });
const logits = linear(r, tanh(r, linear(r, x, w1, { bias: b1 })), w2);
crossEntropyOfLogits(r, logits, labels, schedule, { tensor: loss, first: 0 });
r.backward();
const gradients = new Map(parameters.map((parameter) => [parameter, r.gradientOf(parameter)!]));
recordUpdates(r, optimizer, "train", gradients, { schedule, max_grad_norm: 0 });
const step = { name: "step", steps: r.steps };

const executor = await Executor.create(gpu, planMemory([step]));
for (const parameter of parameters) executor.write(parameter.value, initialValues(parameter, 0));
for (let i = 0; i < 100; i++) {
  executor.writeInputs(
    new Map<Tensor, Data>([
      ...optimizer.at(i).inputs,
      [x.value, Float32Array.of(-1, -1, -1, 1, 1, -1, 1, 1)],
      [labels, Uint32Array.of(0, 1, 1, 0)],
      [schedule, packSchedule({ learning_rate: 0.05, loss_scale: 1 / B, metrics_row: 0 })],
    ]),
  );
  executor.run(step);
}
const losses = await executor.read(loss);
console.log(`loss ${(losses.reduce((sum, value) => sum + value) / B).toFixed(4)}`);
executor.destroy();
