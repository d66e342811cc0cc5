// A step hook from outside: an exponential moving average of the weights, kept on the device by a program of its own,
// saved and restored with the run. Public entry points only.

import { defineKernel, openGpu, Recorder, tensor } from "../../src/exports/plan.ts";
import type { Model, Parameter } from "../../src/exports/models.ts";
import { parseConfig, planPrograms, prepareRun, type Run, type StepHook, Trainer } from "../../src/exports/train.ts";
import { assert, assertEquals, test } from "../harness.ts";

const emaKernel = defineKernel({
  name: "ema",
  code: `// average = decay average + (1 - decay) weight, element by element. One thread per element.
@compute @workgroup_size(64) fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = id.y * groups.x * 64u + id.x;
  if (i < params.n) { average[i] = params.decay * average[i] + (1.0 - params.decay) * weight[i]; }
}`,
  reads: { weight: "array<f32>" },
  writes: { average: "array<f32>" },
  params: { n: "u32", decay: "f32" },
  groups: ({ n }) => Math.ceil(n / 64),
});

/** Averages begin at 0: divide by 1 - decay^steps, as Adam does with its moments. */
function averageWeights(model: Model, decay: number) {
  const r = new Recorder({ target: "portable", training: false });
  const averages = new Map(model.parameters.map((parameter) => {
    const { label, shape } = parameter.value, average = tensor(`${label}.ema`, shape, "state");
    r.run(emaKernel, { weight: parameter.value, average }, { n: shape.reduce((a, b) => a * b, 1), decay });
    return [parameter, average];
  }));
  const program = { name: "ema", steps: r.steps };
  const hook: StepHook = { every: 1, programs: [program], after: ({ executor }) => executor.run(program) };
  return { averages, hook };
}

const DECAY = 0.9, STEPS = 4;
const CONFIG = parseConfig({
  max_steps: STEPS,
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_length: 16,
  per_device_train_batch_size: 2,
  tokenizer: "byte",
  lr_scheduler_type: "constant",
  warmup_steps: 0,
});

test(
  "an average of the weights on the device is that of the host, and goes on from a saved state with " +
    "the same bits",
  async () => {
    const gpu = await openGpu(), run = prepareRun(CONFIG, "Many words make a text. ".repeat(200), gpu.target);
    const { averages, hook } = averageWeights(run.model, DECAY);
    const programs = { ...run.programs, hooks: hook.programs! };
    const open = (): Promise<Trainer> => Trainer.create(gpu, run.model, programs, planPrograms(programs), { seed: 1 });
    const whole = await open(), half = await open(), resumed = await open();
    try {
      const followed = run.model.parameters[0]!;
      const expected = await train(run, whole, hook, followed);
      const average = await whole.executor.read(averages.get(followed)!);
      average.forEach((value, i) =>
        assert(Math.abs(value - expected[i]!) < 1e-6, `${i}: ${value}, not ${expected[i]}`)
      );
      assert(expected.some((value) => Math.abs(value) > 1e-3), "the average is of nothing");

      await train(run, half, hook, followed, 2);
      resumed.restore(await half.save());
      await train(run, resumed, hook, followed);
      const bits = async (trainer: Trainer) =>
        [...(await trainer.save()).tensors].map(([name, words]) => [name, [...words]]);
      assertEquals(await bits(resumed), await bits(whole));
    } finally {
      for (const trainer of [whole, half, resumed]) trainer.destroy();
    }
  },
);

/** Trains up to a step and averages one parameter on the host, in f64. */
async function train(
  run: Run,
  trainer: Trainer,
  hook: StepHook,
  followed: Parameter,
  until = STEPS,
): Promise<number[]> {
  let average: number[] = [];
  while (trainer.steps < until) {
    trainer.step(await run.data.batches(trainer.steps), 1e-3);
    await hook.after!(trainer);
    const weight = await trainer.executor.read(followed.value);
    average = [...weight].map((w, i) => DECAY * (average[i] ?? 0) + (1 - DECAY) * w);
  }
  return average;
}
