// A step's calls of WebGPU are counted at WebGPU itself, and a bad step leaves things alone.

import { bytesByRole } from "../../src/plan/ledger.ts";
import { parseConfig } from "../../src/recipe/config/config.ts";
import { planRun, type Run } from "../../src/recipe/run.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { assert, assertEquals, assertRejects, test } from "../harness.ts";
import { batchesOf, prepareTiny, type Settings, TINY, trainTiny } from "./tiny.ts";
import { testGpu } from "../test_gpu.ts";

async function openTrainer(
  settings: Settings = {},
): Promise<{ trainer: Trainer; run: Run; step: (learning_rate?: number) => void }> {
  const gpu = await testGpu(), run = prepareTiny(gpu, settings);
  const trainer = await Trainer.create(gpu, run.model, run.programs, run.plan, { seed: 1 });
  return { trainer, run, step: (learning_rate = 1e-3) => trainer.step(batchesOf(run, trainer.steps), learning_rate) };
}

const WATCHED: readonly [object, readonly string[]][] = [
  [GPUDevice.prototype, [
    "createBuffer",
    "createBindGroup",
    "createBindGroupLayout",
    "createComputePipeline",
    "createComputePipelineAsync",
    "createShaderModule",
    "createCommandEncoder",
    "createQuerySet",
  ]],
  [GPUCommandEncoder.prototype, ["beginComputePass", "copyBufferToBuffer", "clearBuffer"]],
  [GPUQueue.prototype, ["submit", "writeBuffer", "writeTexture"]],
  [GPUComputePassEncoder.prototype, ["dispatchWorkgroups", "dispatchWorkgroupsIndirect"]],
];

/** Calls of WebGPU's own methods while `body` runs. */
async function callsDuring(body: () => void | Promise<void>): Promise<Readonly<Record<string, number>>> {
  const calls: Record<string, number> = {}, restore: (() => void)[] = [];
  for (const [prototype, names] of WATCHED) {
    const methods = prototype as Record<string, (...args: unknown[]) => unknown>;
    for (const name of names) {
      const original = methods[name]!;
      restore.push(() => void (methods[name] = original));
      methods[name] = function (this: unknown, ...args) {
        calls[name] = (calls[name] ?? 0) + 1;
        return original.apply(this, args);
      };
    }
  }
  try {
    await body();
  } finally {
    for (const undo of restore) undo();
  }
  return calls;
}

for (
  const [name, settings] of [
    ["with clipping", {}],
    ["without clipping", { max_grad_norm: 0 }],
    ["with accumulation", { gradient_accumulation_steps: 2 }],
    ["with checkpointing", { gradient_checkpointing: true }],
  ] as const
) {
  test(`a step ${name} is one write, one encoder, one pass, one submit, its dispatches and nothing else`, async () => {
    const { trainer, run, step } = await openTrainer(settings);
    step();
    await trainer.readMetrics();
    const calls = await callsDuring(() => {
      for (let i = 0; i < 3; i++) step();
    });
    assertEquals(calls, {
      writeBuffer: 3,
      createCommandEncoder: 3,
      beginComputePass: 3,
      dispatchWorkgroups: 3 * run.programs.train!.steps.length,
      submit: 3,
    });
    assertEquals((await trainer.readMetrics()).map((row) => row.step), [2, 3], "rows of a ring of two");
    trainer.destroy();
  });
}

test("a run creates nothing after its first step, neither for metrics nor for evaluation and samples", async () => {
  const created = (calls: Readonly<Record<string, number>>): string[] =>
    Object.keys(calls).filter((name) => name.startsWith("create") && name !== "createCommandEncoder");
  const { trainer, run, step } = await openTrainer();
  step();
  const calls = await callsDuring(async () => {
    for (let i = 0; i < 4; i++) step();
    await trainer.readMetrics();
    await trainer.evaluate(run.programs.evaluate, run.data.validation());
    await trainer.nextLogits(run.programs.generate!, [1, 2, 3]);
  });
  assertEquals(created(calls), []);
  assertEquals(calls["submit"], 4 + 1 + 2 + 2);
  assertEquals(trainer.executor.allocatedBytes, bytesByRole(run.plan.buffers));
  trainer.destroy();
});

test("two layers of width 64 with clipping and AdamW take at most 120 dispatches, of every kind of kernel", () => {
  const config = parseConfig({
    ...TINY,
    num_hidden_layers: 2,
    hidden_size: 64,
    intermediate_size: 256,
    num_attention_heads: 4,
    num_key_value_heads: 4,
    max_length: 64,
    per_device_train_batch_size: 4,
  });
  for (const target of ["portable", "portable_small", "tiled"] as const) {
    const { length } = planRun(config, { vocab_size: 256, target }).programs.train!.steps;
    assert(length <= 120, `${target}: ${length} dispatches`);
  }
});

test("the summary's counts are those of WebGPU", async () => {
  let recorded = 0;
  const { summary } = await trainTiny(
    { max_steps: 3 },
    undefined,
    async (_trainer, run) => void (recorded = run.programs.train!.steps.length),
  );
  const {
    submits_per_step,
    dispatches_per_step,
    buffers_created_per_step,
    bind_groups_created_per_step,
    pipelines_created_per_step,
  } = summary;
  assertEquals([
    submits_per_step,
    dispatches_per_step,
    buffers_created_per_step,
    bind_groups_created_per_step,
    pipelines_created_per_step,
  ], [1, recorded, 0, 0, 0]);
});

async function weightsAndState(trainer: Trainer, run: Run): Promise<Map<string, Uint32Array>> {
  const tensors = [
    ...run.model.parameters.map(({ value }) => value),
    ...[...run.programs.train!.optimizer.state.values()].flat(),
  ];
  const words = new Map<string, Uint32Array>();
  for (const tensor of tensors) words.set(tensor.label, await trainer.executor.readWords(tensor));
  return words;
}

// 1e28: its square is not finite, so the norm of the gradient is not either, though the loss is.
for (
  const [name, poison] of [["model.layers.0.mlp.up_proj.weight", NaN], ["model.embed_tokens.weight", NaN], [
    "model.norm.weight",
    Infinity,
  ], ["model.embed_tokens.weight", 1e28]] as const
) {
  test(`a step with ${name} full of ${poison} is reported as skipped and changes no weight and no state`, async () => {
    const { trainer, run, step } = await openTrainer({ weight_decay: 0.5 });
    step();
    const { shape } = run.model.parameters.find(({ value }) => value.label === name)!.value;
    trainer.setParameter(name, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(poison));
    const before = await weightsAndState(trainer, run);
    step(0.1);
    assertEquals(await weightsAndState(trainer, run), before);
    const [first, second] = await trainer.readMetrics();
    assert(!first!.skipped && Number.isFinite(first!.loss), "the good step is bad");
    assert(second!.skipped && !Number.isFinite(second!.grad_norm), JSON.stringify(second));
    if (poison === 1e28) return trainer.destroy();
    assert(!Number.isFinite(second!.loss), `loss ${second!.loss}`);
    assertEquals(await trainer.diagnose(), `first bad tensor: ${name} (before the step)`);
    trainer.destroy();
  });
}

test("a good step changes every weight", async () => {
  const { trainer, run, step } = await openTrainer();
  const before = await weightsAndState(trainer, run);
  step(0.1);
  for (const [label, words] of await weightsAndState(trainer, run)) {
    assert(words.some((word, i) => word !== before.get(label)![i]), `${label} did not change`);
  }
  trainer.destroy();
});

test("the trainer refuses a parameter that the model lacks, and one of another size", async () => {
  const { trainer } = await openTrainer();
  await assertRejects(
    async () => trainer.setParameter("model.nothing", new Float32Array(1)),
    'Cannot set parameter "model.nothing"',
  );
  await assertRejects(
    async () => trainer.setParameter("model.norm.weight", new Float32Array(1)),
    "Cannot write 4 bytes to model.norm.weight: it has 64",
  );
  trainer.destroy();
});
