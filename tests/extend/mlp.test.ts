// A multilayer perceptron with a training loop of its own: no language model, no Trainer. Public entry points only.

import { Executor, openGpu, planMemory, Recorder, type Tensor, tensor } from "../../src/exports/plan.ts";
import { initialValues, parameter } from "../../src/exports/models.ts";
import { crossEntropyOfLogits, gelu, linear } from "../../src/exports/ops.ts";
import {
  createOptimizer,
  metricsTensor,
  packSchedule,
  recordMetrics,
  recordUpdates,
  scheduleTensor,
} from "../../src/exports/optim.ts";
import { assert, test } from "../harness.ts";

/** Batch, features, hidden width, classes. */
const B = 64, IN = 2, H = 32, CLASSES = 2, STEPS = 200;

test("an MLP learns two spirals in a training loop of 20 lines", async () => {
  const w1 = parameter("fc1.weight", [H, IN], 0.7), b1 = parameter("fc1.bias", [H], "zeros");
  const w2 = parameter("fc2.weight", [H, H], 0.2), b2 = parameter("fc2.bias", [H], "zeros");
  const w3 = parameter("fc3.weight", [CLASSES, H], 0.2);
  const parameters = [w1, b1, w2, b2, w3];
  const x = { value: tensor("x", [B, IN], "input"), needsGradient: false };
  const labels = tensor("labels", [B], "input", "u32"), loss = tensor("loss", [B], "output");
  const schedule = scheduleTensor("schedule"), metrics = metricsTensor(1);
  const optimizer = createOptimizer("adamw", parameters);

  const r = new Recorder({ target: "portable", training: true });
  const h1 = gelu(r, linear(r, x, w1, { bias: b1 }), "tanh"), h2 = gelu(r, linear(r, h1, w2, { bias: b2 }), "tanh");
  crossEntropyOfLogits(r, linear(r, h2, w3), labels, schedule, { tensor: loss, first: 0 });
  r.backward();
  const gradients = new Map(parameters.map((p) => [p, r.gradientOf(p)!]));
  const clip = recordUpdates(r, optimizer, "train", gradients, { schedule, max_grad_norm: 1 });
  recordMetrics(r, { schedule, clip, loss, metrics });
  const step = { name: "step", steps: r.steps };

  const executor = await Executor.create(await openGpu(), planMemory([step]));
  try {
    for (const p of parameters) executor.write(p.value, initialValues(p, 0));
    const losses: number[] = [];
    for (let i = 0; i < STEPS; i++) {
      const batch = spirals(i);
      executor.writeInputs(
        new Map<Tensor, Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>([
          ...optimizer.at(i).inputs,
          [x.value, batch.points],
          [labels, batch.labels],
          [schedule, packSchedule({ learning_rate: 0.01, loss_scale: 1 / B, metrics_row: 0 })],
        ]),
      );
      executor.run(step);
      if (i % 20 === 0 || i === STEPS - 1) losses.push((await executor.read(metrics))[0]!);
    }
    assert(losses[0]! > 0.6 && losses.at(-1)! < 0.1, `losses ${losses.join(", ")}`);
  } finally {
    executor.destroy();
  }
});

/** Points on two spiral arms, and the arm of each. */
function spirals(step: number): { points: Float32Array<ArrayBuffer>; labels: Uint32Array<ArrayBuffer> } {
  const labels = Uint32Array.from({ length: B }, (_, i) => i % 2);
  const points = new Float32Array(B * IN);
  labels.forEach((label, i) => {
    const t = 0.5 + ((i * 7 + step * 13) % B) / B * 2.5, angle = t * 2 + label * Math.PI;
    points.set([t * Math.cos(angle), t * Math.sin(angle)], i * IN);
  });
  return { points, labels };
}
