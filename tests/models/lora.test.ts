// Adapters beside frozen weights, against the model without them and the model with them merged.

import { assert, assertClose, assertEquals, assertThrows, test } from "../harness.ts";
import { testTargets } from "../ops/run_op.ts";
import { type Floats, runAll } from "../ops/run_recorded.ts";
import { freeze } from "../../src/models/freeze.ts";
import { type LoraConfig, loraScale, mergedWeight, targetNames, withLora } from "../../src/models/lora.ts";
import type { Model } from "../../src/models/architecture.ts";
import { createModel } from "../../src/models/model.ts";
import { linearLayers } from "../../src/models/parts.ts";
import { randomValues, recordModel, SMALL, someNumbers } from "./small_models.ts";

const LORA: LoraConfig = {
  r: 4,
  lora_alpha: 12,
  lora_dropout: 0,
  target_modules: "all-linear",
  modules_to_save: [],
  use_rslora: false,
};
const isFactor = (name: string): boolean => /\.lora_[AB]\.weight$/.test(name);

/** The adapted model, all but its adapters frozen. */
const adapted = (plain: Model, config: Partial<LoraConfig> = {}): Model =>
  freeze(withLora(plain, { ...LORA, ...config }), {
    trains: ({ value }) => isFactor(value.label),
    storedAs: () => "f32",
    quantized: undefined,
  });

/** One config of every family whose linear layers differ: biases, transposed weights, post-norm. */
const FAMILIES = ["llama", "qwen2", "gpt2", "roberta"] as const;

for (const family of FAMILIES) {
  test(
    `${family}: with new adapters on all linear layers logits and losses are the base's to the bit, and nothing ` +
      "frozen has a gradient",
    async () => {
      const plain = createModel(SMALL[family]),
        model = adapted(plain),
        layers = linearLayers(model).filter(({ lora }) => lora);
      assertEquals(
        layers.length,
        { llama: 14, qwen2: 14, gpt2: 8, roberta: 12 }[family],
        "two layers of so many linear ones, heads aside",
      );
      for (const target of await testTargets()) {
        const base = recordModel(target, plain, randomValues(plain, 1)),
          own = recordModel(target, model, new Map([...randomValues(model, 2), ...randomValues(plain, 1)]));
        const [logits, ownLogits, all, gradients] = await runAll([
          base.logits,
          own.logits,
          base.gradients,
          own.gradients,
        ]);
        assertEquals(ownLogits, logits, `${target}: logits`);
        assert(new Set(logits!["logits"]).size > 5, `${target}: the logits are not numbers of a model`);
        assertEquals(gradients!["loss"], all!["loss"], `${target}: losses`);
        const names = model.parameters.map(({ value }) => value.label).filter(isFactor);
        assertEquals(Object.keys(gradients!).sort(), ["loss", ...names].sort(), `${target}: gradients`);
        // B is zeros, so no change of A changes anything yet.
        for (const name of names) {
          assertEquals(
            gradients![name]!.some((x) => x !== 0),
            name.includes("lora_B"),
            `${target}: ${name} has a gradient that is not 0`,
          );
        }
      }
    },
  );

  test(
    `${family}: adapters compute what the merged weight computes, and their gradients are those of the merged ` +
      "weight through the product",
    async () => {
      const plain = createModel(SMALL[family]), model = adapted(plain);
      for (const target of await testTargets()) {
        const values = new Map<string, Floats>([...randomValues(model, 2), ...randomValues(plain, 1)]);
        const layers = linearLayers(model).filter(({ lora }) => lora);
        layers.forEach(({ lora }, i) => values.set(lora!.b.value.label, someNumbers(lora!.b.value.shape, i)));
        const merged = new Map(values);
        for (const layer of layers) {
          const [weight, a, b] = [layer.weight, layer.lora!.a, layer.lora!.b].map(({ value }) =>
            values.get(value.label)!
          ) as [Floats, Floats, Floats];
          merged.set(layer.weight.value.label, mergedWeight(layer, weight, a, b));
        }
        const own = recordModel(target, model, values), whole = recordModel(target, plain, merged);
        const [logits, expected, gradients, of] = await runAll([
          own.logits,
          whole.logits,
          own.gradients,
          whole.gradients,
        ]);
        // The merged weight is rounded once, the adapter's sums are rounded on their own: some roundings of f32 through
        // two layers.
        assertClose(logits!["logits"]!, expected!["logits"]!, {
          name: `${target}: logits`,
          absolute: 2e-5 * largest(expected!["logits"]!),
        });
        for (const { name, weight, transposed = false, lora } of layers) {
          const { a, b, scale } = lora!, [r, width] = a.value.shape as [number, number], out = b.value.shape[0]!;
          const dW = of![weight.value.label]!, A = values.get(a.value.label)!, B = values.get(b.value.label)!;
          const at = (o: number, i: number): number => dW[transposed ? i * out + o : o * width + i]!;
          const sum = (count: number, term: (i: number) => number): number =>
            scale * [...Array(count).keys()].reduce((total, i) => total + term(i), 0);
          const dA = Float64Array.from(
            { length: r * width },
            (_, n) => sum(out, (o) => B[o * r + Math.floor(n / width)]! * at(o, n % width)),
          );
          const dB = Float64Array.from(
            { length: out * r },
            (_, n) => sum(width, (i) => at(Math.floor(n / r), i) * A[(n % r) * width + i]!),
          );
          for (const [of, reference] of [[a, dA], [b, dB]] as const) {
            assert(largest(reference) > 1e-5, `${name}: no gradient to compare`);
            assertClose(gradients![of.value.label]!, reference, {
              name: `${target}: gradient of ${of.value.label}`,
              absolute: 1e-4 * largest(reference),
            });
          }
        }
      }
    },
  );
}

const largest = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((max, x) => Math.max(max, Math.abs(x)), 0);

test("the scale is lora_alpha / r, of rsLoRA lora_alpha / sqrt(r)", () => {
  assertEquals([loraScale(LORA), loraScale({ ...LORA, use_rslora: true })], [3, 6]);
  for (const [use_rslora, scale] of [[false, 3], [true, 6]] as const) {
    const scales = linearLayers(withLora(createModel(SMALL.llama), { ...LORA, use_rslora })).map(({ lora }) =>
      lora!.scale
    );
    assertEquals(scales, Array(14).fill(scale));
  }
});

test("factors have PEFT's names, shapes and initial values; the rest of the model is as it was", () => {
  const plain = createModel(SMALL.gpt2), model = withLora(plain, { ...LORA, target_modules: ["c_attn"] });
  const { a, b } = linearLayers(model)[0]!.lora!;
  assertEquals([a.value.label, a.value.shape, a.initial], ["transformer.h.0.attn.c_attn.lora_A.weight", [4, 16], {
    uniform: 1 / 4,
  }]);
  assertEquals([b.value.label, b.value.shape, b.initial], [
    "transformer.h.0.attn.c_attn.lora_B.weight",
    [48, 4],
    "zeros",
  ]);
  assertEquals(model.parameters.filter(({ value }) => !isFactor(value.label)), plain.parameters);
  assertEquals(model.parameters.length, plain.parameters.length + 4);
});

/** Ends of the names of the adapted layers, each as often as it is adapted. */
const targets = (family: keyof typeof SMALL, target_modules: LoraConfig["target_modules"]): string[] =>
  linearLayers(withLora(createModel(SMALL[family]), { ...LORA, target_modules })).filter(({ lora }) => lora).map((
    { name },
  ) => name.replace(/^.*\.(\d)\./, "$1."));

test(
  "targets: ends of names, whole names, a regular expression over whole names, all-linear, and " +
    "the usual ones",
  () => {
    assertEquals(targets("llama", ["q_proj", "mlp.up_proj"]), [
      "0.self_attn.q_proj",
      "0.mlp.up_proj",
      "1.self_attn.q_proj",
      "1.mlp.up_proj",
    ]);
    assertEquals(targets("llama", ["model.layers.1.self_attn.k_proj"]), ["1.self_attn.k_proj"]);
    // An end of a name is not an end of a word of it.
    assertEquals(targets("llama", ["down_proj"]), ["0.mlp.down_proj", "1.mlp.down_proj"]);
    assertEquals(targets("llama", ".*\\.1\\..*(q|v)_proj"), ["1.self_attn.q_proj", "1.self_attn.v_proj"]);
    assertEquals(targets("gpt2", ["c_proj"]), ["0.attn.c_proj", "0.mlp.c_proj", "1.attn.c_proj", "1.mlp.c_proj"]);
    assertEquals([
      targets("llama", "all-linear").length,
      targets("gpt2", "all-linear").length,
      targets("bert", "all-linear").length,
    ], [14, 8, 12]);
    assertEquals([targets("llama", null), targets("gpt2", null), targets("roberta", null)], [
      ["0.self_attn.q_proj", "0.self_attn.v_proj", "1.self_attn.q_proj", "1.self_attn.v_proj"],
      ["0.attn.c_attn", "1.attn.c_attn"],
      ["0.attention.self.query", "0.attention.self.value", "1.attention.self.query", "1.attention.self.value"],
    ]);
    const named = (model: keyof typeof SMALL, target_modules: string | null) =>
      targetNames(withLora(createModel(SMALL[model]), { ...LORA, target_modules }));
    assertEquals(named("llama", null), ["q_proj", "v_proj"]);
    // The ends would match layer 0 too, and of a BERT the heads.
    assertEquals(named("llama", ".*\\.1\\..*(q|v)_proj"), [
      "model.layers.1.self_attn.q_proj",
      "model.layers.1.self_attn.v_proj",
    ]);
    assert(
      named("roberta", "all-linear").includes("roberta.encoder.layer.1.output.dense") &&
        !named("roberta", "all-linear").includes("dense"),
      "whole names",
    );
  },
);

test("a pattern that matches no linear layer, or is none, is refused in one line with what there is", () => {
  const refused = (target_modules: readonly string[] | string, message: string): void => {
    const error = assertThrows(() => withLora(createModel(SMALL.llama), { ...LORA, target_modules }), message);
    assert(error instanceof RangeError && !error.message.includes("\n"), error.message);
  };
  refused(
    ["query"],
    'Cannot use "target_modules" ["query"]: no linear layer has such a name. There are q_proj, k_proj, ' +
      "v_proj, o_proj, gate_proj, up_proj, down_proj. The head can be trained whole by modules_to_save",
  );
  // A part of a name is no end of one; a regular expression must match a whole name.
  refused(["proj"], "no linear layer has such a name");
  refused("q_proj", "no linear layer has such a name");
  refused(["lm_head"], "modules_to_save");
  refused(["embed_tokens"], "no linear layer has such a name");
  refused(".*(q_proj", "it is no regular expression");
});

test("a rank above a side of a layer is refused, naming the layer", () => {
  for (
    const [r, message] of [
      [17, "Cannot adapt model.layers.0.self_attn.q_proj (16,16) with r 17: expected a whole number from 1 to 16"],
      [9, "Cannot adapt model.layers.0.self_attn.k_proj (8,16) with r 9: expected a whole number from 1 to 8"],
    ] as const
  ) {
    assertThrows(() => withLora(createModel(SMALL.llama), { ...LORA, r }), message);
  }
  assertThrows(
    () => withLora(createModel(SMALL.gpt2), { ...LORA, r: 17 }),
    "Cannot adapt transformer.h.0.attn.c_attn (48,16) with r 17",
  );
  withLora(createModel(SMALL.llama), { ...LORA, r: 8 });
});
