// Defines an op with shaders of one's own, forward and backward: squared ReLU (So et al., 2021).

import { defineKernel, Executor, openGpu, planMemory, Recorder, tensor, type Variable } from "scrimp/plan";

const groups = ({ n }: { readonly n: number }): number => Math.ceil(n / 64);
const forward = defineKernel({
  name: "squared_relu",
  code: `// y = max(x, 0)^2, element by element. One thread per element.
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.n) { return; }
  let positive = max(x[id.x], 0.0);
  y[id.x] = positive * positive;
}`,
  reads: { x: "array<f32>" },
  writes: { y: "array<f32>" },
  params: { n: "u32" },
  groups,
});
const backward = defineKernel({
  name: "squared_relu_backward",
  code: `// dx (+)= 2 max(x, 0) dy, element by element. One thread per element.
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.n) { return; }
  let own = 2.0 * max(x[id.x], 0.0) * dy[id.x];
  if (params.accumulate == 1u) { dx[id.x] += own; } else { dx[id.x] = own; }
}`,
  reads: { x: "array<f32>", dy: "array<f32>" },
  writes: { dx: "array<f32>" },
  params: { n: "u32", accumulate: "u32" },
  groups,
});

/** y = max(x, 0)², of any shape. It takes its place among the ops of scrimp/ops in any model. */
export function squaredRelu(r: Recorder, x: Variable): Variable {
  const n = x.value.shape.reduce((product, size) => product * size, 1);
  const y = { value: r.tensor("squared_relu", x.value.shape), needsGradient: x.needsGradient };
  r.run(forward, { x: x.value, y: y.value }, { n });
  r.onBackward(y, [x], (dy) => {
    const dx = r.gradientFor(x);
    if (dx) r.run(backward, { x: x.value, dy, dx: dx.tensor }, { n, accumulate: dx.accumulate ? 1 : 0 });
  });
  return y;
}

const gpu = await openGpu(), r = new Recorder({ target: gpu.target, training: false });
const x = { value: tensor("x", [4], "input"), needsGradient: false };
const twice = squaredRelu(r, squaredRelu(r, x)).value, output = tensor("output", [4], "output");
// The result of an op shares its memory with others; only outputs may be read.
r.run(forward, { x: twice, y: output }, { n: 4 });
const program = { name: "squared_relu", steps: r.steps };
const executor = await Executor.create(gpu, planMemory([program]));
executor.writeInputs(new Map([[x.value, Float32Array.of(-1, 0, 1, 1.1)]]));
executor.run(program);
console.log(await executor.read(output));
executor.destroy();
