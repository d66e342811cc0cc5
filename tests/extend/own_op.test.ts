// An op with shaders of its own, forward and backward, in a model that trains: squared ReLU (So et al., 2021).
// Public entry points only.

import {
  defineKernel,
  Executor,
  openGpu,
  planMemory,
  Recorder,
  tensor,
  type Variable,
} from "../../src/exports/plan.ts";
import { parameter } from "../../src/exports/models.ts";
import { crossEntropyOfLogits, linear } from "../../src/exports/ops.ts";
import { packSchedule, scheduleTensor } from "../../src/exports/optim.ts";
import { assert, test } from "../harness.ts";

const main = `@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i >= params.n) { return; }`;
const groups = ({ n }: { readonly n: number }): number => Math.ceil(n / 64);

const forwardKernel = defineKernel({
  name: "squared_relu",
  code: `// y = max(x, 0)^2, element by element. One thread per element.
${main}
  let positive = max(x[i], 0.0);
  y[i] = positive * positive;
}`,
  reads: { x: "array<f32>" },
  writes: { y: "array<f32>" },
  params: { n: "u32" },
  groups,
});

const backwardKernel = defineKernel({
  name: "squared_relu_backward",
  code: `// dx (+)= 2 max(x, 0) dy, element by element. One thread per element.
${main}
  let own = 2.0 * max(x[i], 0.0) * dy[i];
  if (params.accumulate == 1u) { dx[i] += own; } else { dx[i] = own; }
}`,
  reads: { x: "array<f32>", dy: "array<f32>" },
  writes: { dx: "array<f32>" },
  params: { n: "u32", accumulate: "u32" },
  groups,
});

/** y = max(x, 0)², of any shape. */
function squaredRelu(r: Recorder, x: Variable): Variable {
  const n = x.value.shape.reduce((a, b) => a * b, 1);
  const y = { value: r.tensor("squared_relu", x.value.shape), needsGradient: x.needsGradient };
  r.run(forwardKernel, { x: x.value, y: y.value }, { n });
  r.onBackward(y, [x], (dy) => {
    const dx = r.gradientFor(x);
    if (!dx) return;
    r.run(backwardKernel, { x: x.value, dy, dx: dx.tensor }, { n, accumulate: dx.accumulate ? 1 : 0 });
  });
  return y;
}

test("an op of one's own inside a model: its gradient is that of central differences", async () => {
  const N = 6, IN = 5, H = 12, CLASSES = 3;
  const w1 = parameter("fc1.weight", [H, IN], 1), w2 = parameter("fc2.weight", [CLASSES, H], 1);
  const x = { value: tensor("x", [N, IN], "input"), needsGradient: false };
  const labels = tensor("labels", [N], "input", "u32"), schedule = scheduleTensor("schedule");
  const record = (training: boolean) => {
    const r = new Recorder({ target: "portable", training }), loss = tensor(`loss ${training}`, [N], "output");
    crossEntropyOfLogits(r, linear(r, squaredRelu(r, linear(r, x, w1)), w2), labels, schedule, {
      tensor: loss,
      first: 0,
    });
    if (training) r.backward();
    const gradient = r.gradientOf(w1);
    const kept = tensor("kept gradient", [H, IN], "output");
    if (gradient) r.run(copyKernel, { x: gradient, y: kept }, { n: H * IN });
    return { name: `${training}`, steps: r.steps, loss, kept };
  };
  const step = record(true), forward = record(false);
  const executor = await Executor.create(await openGpu(), planMemory([step, forward]));
  try {
    const start = Float32Array.from({ length: H * IN }, (_, i) => Math.sin(3 * i + 1) / 2);
    executor.write(w1.value, start);
    executor.write(w2.value, Float32Array.from({ length: CLASSES * H }, (_, i) => Math.cos(2 * i)));
    executor.writeInputs(new Map([[x.value, Float32Array.from({ length: N * IN }, (_, i) => Math.sin(i * i))]]));
    executor.writeInputs(new Map([[labels, Uint32Array.of(0, 1, 2, 0, 1, 2)]]));
    executor.writeInputs(new Map([[schedule, packSchedule({ learning_rate: 0, loss_scale: 1, metrics_row: 0 })]]));
    executor.run(step);
    const gradient = await executor.read(step.kept);
    const lossAt = async (index: number, change: number): Promise<number> => {
      executor.write(w1.value, start.map((w, i) => (i === index ? w + change : w)));
      executor.run(forward);
      return (await executor.read(forward.loss)).reduce((a, b) => a + b, 0);
    };
    let checked = 0;
    for (let index = 0; index < H * IN; index += 7) {
      const difference = (await lossAt(index, 1e-2) - await lossAt(index, -1e-2)) / 2e-2;
      // Central differences of f32 losses near 10 are good to 1e-6 · 10 / 1e-2.
      assert(
        Math.abs(gradient[index]! - difference) < 4e-3 * Math.max(1, Math.abs(difference)),
        `element ${index}: gradient ${gradient[index]}, central difference ${difference}`,
      );
      if (gradient[index] !== 0) checked++;
    }
    assert(checked >= 5, `only ${checked} elements have a gradient`);
  } finally {
    executor.destroy();
  }
});

/** Keeps a gradient, whose memory is shared, for the host to read. */
const copyKernel = defineKernel({
  name: "copy",
  code: `${main}
  y[i] = x[i];
}`,
  reads: { x: "array<f32>" },
  writes: { y: "array<f32>" },
  params: { n: "u32" },
  groups,
});
