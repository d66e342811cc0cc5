// Frozen weights: how many bytes they take, that no step changes a bit of them, and that the backward pass ends above
// them.

import { assert, assertEquals, test } from "../harness.ts";
import { openTiny } from "../recipe/resume/checkpoints.ts";
import { type Settings, TINY } from "./tiny.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import { LLAMA } from "../../src/models/llama.ts";
import type { Parameter } from "../../src/models/parameter.ts";
import { type BytesByRole, bytesByRole, totalBytes } from "../../src/plan/ledger.ts";
import { bytesOf, size } from "../../src/plan/tensor.ts";
import { parseConfig } from "../../src/recipe/config/config.ts";
import { planRun } from "../../src/recipe/run.ts";

/** SmolLM's 135 million parameters. */
const SMOL = {
  model_type: "llama",
  vocab_size: 49152,
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  max_position_embeddings: 2048,
  tie_word_embeddings: true,
};
const LORA = {
  model: "smol",
  max_length: 256,
  per_device_train_batch_size: 1,
  gradient_checkpointing: true,
  peft: "lora r=8",
};

type Stored = "f32" | "bf16" | "f16";

/** The plan of a run on SmolLM, whose files hold matrices as `stored`. */
function planSmol(stored: Stored, settings: Settings = {}, target: KernelTarget = "tiled") {
  const { model, plan } = planRun(parseConfig({ ...LORA, ...settings }), {
    vocab_size: 49152,
    target,
    base: { architecture: LLAMA, json: SMOL, storedAs: () => stored },
  });
  return {
    frozen: model.parameters.filter(({ value }) => value.role === "frozen"),
    adapters: numbersOf(model.parameters.filter(({ needsGradient }) => needsGradient)),
    bytes: bytesByRole(plan.buffers),
  };
}
const numbersOf = (parameters: readonly Parameter[]): number =>
  parameters.reduce((sum, { value }) => sum + size(value), 0);

for (
  const [name, stored, settings, linear, other] of [
    ["f32", "f32", {}, 32, 32],
    ["bf16", "bf16", {}, 16, 16],
    ["f16", "f16", {}, 16, 16],
    ["int8 beside bf16", "bf16", { load_in_8bit: true }, 8.5, 16],
    ["nf4 beside bf16", "bf16", { load_in_4bit: true }, 4.5, 16],
  ] as const
) {
  test(
    `a LoRA run of 135M parameters in ${name}: frozen bytes are those stored, the rest is what the adapters ` +
      "alone need",
    () => {
      const { frozen, adapters, bytes } = planSmol(stored, settings);
      assertEquals(numbersOf(frozen), 134_515_008, "SmolLM's parameters, all of them frozen");
      // Bits a number: those of linear layers, scales of groups of 64 included, and of the embedding and the norms.
      const storedBytes = frozen.reduce(
        (sum, { value }) => sum + (size(value) * (/_proj/.test(value.label) ? linear : other)) / 8,
        0,
      );
      assert(
        bytes.frozen >= storedBytes && bytes.frozen < 1.01 * storedBytes,
        `${bytes.frozen} bytes are frozen, ${storedBytes} are stored`,
      );
      assertEquals(adapters, 30 * 8 * (2 * 576 + 576 + 192), "numbers of A and B beside q_proj and v_proj");
      const { trainable, gradient, state }: BytesByRole = bytes;
      assertEquals({ trainable, gradient, state }, {
        trainable: 4 * adapters,
        gradient: 4 * adapters,
        state: 8 * adapters,
      });
    },
  );
}

test("that run fits below 400 MB with a base in bf16 and below 220 MB in nf4", () => {
  for (const target of ["tiled", "portable", "portable_small"] as const) {
    const [bf16, nf4] = [planSmol("bf16", {}, target), planSmol("bf16", { load_in_4bit: true }, target)].map((
      { bytes },
    ) => totalBytes(bytes)) as [number, number];
    assert(bf16 < 400e6 && nf4 < 220e6, `${target}: ${bf16} bytes with bf16, ${nf4} with nf4`);
  }
});

test(
  "embeddings and norms alone are trained with gradients and state of their own bytes, whatever " +
    "else there is",
  () => {
    const config = parseConfig({ ...TINY, num_hidden_layers: 3, trainable_modules: ["norm"], dtype: "bfloat16" });
    const { model, plan } = planRun(config, { vocab_size: 256, target: "portable" }),
      bytes = bytesByRole(plan.buffers);
    assertEquals([bytes.trainable, bytes.gradient, bytes.state], [7 * 64, 7 * 64, 14 * 64]);
    const frozen = model.parameters.filter(({ needsGradient }) => !needsGradient), ropeBytes = 4 * 16 * 8;
    assertEquals(bytes.frozen, frozen.reduce((sum, { value }) => sum + bytesOf(value), ropeBytes));
    assert(
      frozen.length === 22 && frozen.every(({ value }) => value.type === "bf16" && bytesOf(value) === 2 * size(value)),
      "all matrices are bf16",
    );
  },
);

/** The smallest model that learns: a step of it takes about a millisecond. */
const TINIER = {
  hidden_size: 8,
  intermediate_size: 8,
  max_length: 4,
  per_device_train_batch_size: 1,
  logging_steps: 500,
  max_steps: 1000,
  learning_rate: 0.01,
};

for (
  const [name, settings] of [
    ["LoRA on a base in bf16", { dtype: "bfloat16", peft: "lora r=2 target_modules=all-linear lora_dropout=0.1" }],
    ["LoRA on a base in nf4", { peft: "lora r=2", load_in_4bit: true }],
    ["trainable_modules", { num_hidden_layers: 2, trainable_modules: ["layers\\.1\\.mlp", "model\\.norm"] }],
  ] as const
) {
  test(`${name}: not one bit of a frozen tensor changes in 1000 steps, and everything else does`, async () => {
    const { run: { model, programs }, trainer, go } = await openTiny({ ...TINIER, ...settings });
    const tensors = [...model.parameters.map(({ value }) => value), ...programs.train.constants.keys()].filter((
      { role },
    ) => role !== "input");
    const words = (): Promise<Uint32Array[]> => Promise.all(tensors.map((one) => trainer.executor.readWords(one)));
    const before = await words();
    for (let i = 0; i < 20; i++) {
      go(50);
      const rows = await trainer.readMetrics();
      assert(
        rows.length > 0 && rows.every(({ loss, skipped }) => Number.isFinite(loss) && !skipped),
        JSON.stringify(rows.at(-1)),
      );
    }
    assertEquals(trainer.steps, 1000);
    const after = await words(),
      trained = new Set(model.parameters.filter(({ needsGradient }) => needsGradient).map(({ value }) => value));
    assert(trained.size > 0 && trained.size < tensors.length - 1, "some are trained, some frozen");
    tensors.forEach((one, i) => {
      if (!trained.has(one)) return assertEquals(after[i], before[i], `frozen ${one.label}`);
      assert(after[i]!.some((word, at) => word !== before[i]![at]), `${one.label} does not move`);
    });
    trainer.destroy();
  });
}

test("the backward pass stops below the first trainable layer", () => {
  const LAYERS = 6;
  const planned = (settings: Settings) =>
    planRun(parseConfig({ ...TINY, num_hidden_layers: LAYERS, max_grad_norm: 0, ...settings }), {
      vocab_size: 256,
      target: "portable",
    });
  const stepsOf = (settings: Settings): number => planned(settings).programs.train!.steps.length;
  const all = stepsOf({}), forward = planned({}).programs.evaluate!.steps.length;
  for (
    const settingsOf of [
      (layer: number) => ({ trainable_modules: [`layers\\.${layer}\\.`] }),
      (layer: number) => ({ peft: { r: 2, target_modules: `.*layers\\.${layer}\\..*_proj` } }),
    ]
  ) {
    const counts = [...Array(LAYERS).keys()].map((layer) => stepsOf(settingsOf(layer)));
    // One layer fewer to go back through, from the first to the last, each time as many steps.
    const saved = counts.slice(1).map((count, i) => counts[i]! - count);
    assert(saved.every((one) => one === saved[0] && one > 5), `steps by the layer that is trained: ${counts}`);
    assert(counts[0]! < all, `${counts[0]} steps train one layer, ${all} train everything`);
    const last = planned(settingsOf(LAYERS - 1)).programs.train!;
    const below = last.steps.filter(({ tensors }) =>
      tensors.some(({ label }) => /^d\(.*layers\.[0-4]\.|^d\(embedding/.test(label))
    );
    assertEquals(below.map(({ kernel }) => kernel.name), [], "dispatches for gradients below the trained layer");
    assert(
      last.steps.length < forward + (all - forward) / 2,
      `${last.steps.length} steps, a forward pass has ${forward}`,
    );
  }
});
