// Updates of weights in bf16: stochastic rounding keeps what rounding to nearest would lose.

import { assert, assertEquals, test } from "../harness.ts";
import { NO_CLIP, noClip } from "../../src/optim/step/clip.ts";
import type { OptimizerSpec } from "../../src/optim/optimizer_spec.ts";
import { Optimizer } from "../../src/optim/optimizer.ts";
import { type OptimizerName, resolveOptimizer } from "../../src/optim/presets.ts";
import { packSchedule, scheduleTensor } from "../../src/optim/step/schedule.ts";
import { Executor } from "../../src/plan/executor.ts";
import { planMemory } from "../../src/plan/memory.ts";
import { Recorder } from "../../src/plan/recorder.ts";
import { tensor } from "../../src/plan/tensor.ts";
import { testGpu } from "../test_gpu.ts";

const M = 64, N = 48, STEPS = 50;

/** Weights of 1 after some steps on a gradient of ones, as bf16 or f32. */
async function weightsAfter(
  type: "bf16" | "f32",
  optim: OptimizerName,
  changes: Partial<OptimizerSpec>,
  lr: number,
  seed = 1,
): Promise<Float32Array> {
  const gpu = await testGpu();
  const variable = { value: tensor("w", [M, N], "trainable", type), needsGradient: true, kind: "linear" as const },
    gradient = tensor("g", [M, N], "state");
  const settings = {
    adam_beta1: 0.9,
    adam_beta2: 0.999,
    adam_epsilon: null,
    momentum: 0,
    weight_decay: 0,
    seed,
    max_steps: 1000,
    optim_target_modules: null,
    state_free_modules: [],
  };
  const optimizer = new Optimizer(
    [variable],
    resolveOptimizer(optim, { update_gap: 1000, ...changes }),
    settings,
  );
  const schedule = scheduleTensor("schedule"), clip = noClip();
  const programs = new Map(optimizer.stepKinds.map((name) => {
    const r = new Recorder({ target: gpu.target, training: true });
    optimizer.record(r, name, variable, gradient, { schedule, clip });
    return [name, { name, steps: r.steps }];
  }));
  const executor = await Executor.create(gpu, planMemory([...programs.values()]));
  executor.write(variable.value, new Float32Array(M * N).fill(1));
  executor.write(clip, NO_CLIP);
  for (const [table, values] of optimizer.constants) executor.write(table, values);
  for (let step = 0; step < STEPS; step++) {
    const { stepKind, inputs } = optimizer.at(step);
    executor.write(gradient, new Float32Array(M * N).fill(1)); // an update in several steps overwrites it
    executor.writeInputs(
      new Map([...inputs, [schedule, packSchedule({ learning_rate: lr, loss_scale: 1, metrics_row: 0 })]]),
    );
    executor.run(programs.get(stepKind)!);
  }
  const weights = await executor.read(variable.value);
  executor.destroy();
  return weights;
}

const meanOf = (values: Float32Array): number => values.reduce((sum, x) => sum + x, 0) / values.length;

/** One pass and several steps; a rule with state and one without. */
const CASES: readonly (readonly [OptimizerName, Partial<OptimizerSpec>])[] = [
  ["sign_sgd", {}],
  ["adamw", {}],
  ["frugal", { density: 0.5 }],
  ["adamw_8bit", { optim_bits: 32, inactive_update_rule: "no" }],
  ["galore", { rank: 4, scale: 1 }],
];

for (const [optim, changes] of CASES) {
  test(
    `${optim}: bf16 weights move as far as f32 ones on average, though a step is a fortieth of ` +
      "their spacing",
    async () => {
      // Below 1 the spacing of bf16 is 2^-8; to the nearest, no step of 1e-4 would ever move a weight.
      const lr = 1e-4,
        exact = await weightsAfter("f32", optim, changes, lr),
        rounded = await weightsAfter("bf16", optim, changes, lr);
      const moved = 1 - meanOf(exact);
      assert(moved > 1e-4, `the f32 weights moved by ${moved} only`);
      // Each weight is off by one spacing at most; the mean of 3072 independent ones by a third of that over their
      // root, five times.
      const tolerance = (5 * 2 ** -8) / Math.sqrt(3 * M * N) + 1e-6;
      const error = Math.abs(meanOf(rounded) - meanOf(exact));
      assert(error < tolerance, `mean off by ${error}, expected less than ${tolerance}; moved by ${moved}`);
      assert(
        rounded.every((x) => (new Uint32Array(Float32Array.of(x).buffer)[0]! & 0xffff) === 0),
        "a weight is no bf16 number",
      );
      assert(new Set(rounded).size > 1, "all weights were rounded alike");
    },
  );
}

test("the same seed rounds alike, another one otherwise", async () => {
  const [a, b, c] = [
    await weightsAfter("bf16", "adamw", {}, 1e-4),
    await weightsAfter("bf16", "adamw", {}, 1e-4),
    await weightsAfter("bf16", "adamw", {}, 1e-4, 2),
  ];
  assertEquals(a, b);
  assert(a.some((x, i) => x !== c[i]), "the seed makes no difference");
});
