// The families that are built in keep what `Architecture` promises. No GPU.

import type { Model } from "../../src/models/architecture.ts";
import { architectureOf, ARCHITECTURES, createModel } from "../../src/models/model.ts";
import { linearLayers } from "../../src/models/parts.ts";
import { assert, assertEquals, assertThrows, test } from "../harness.ts";

const SIZES = { vocab_size: 16, hidden_size: 8, intermediate_size: 8, num_hidden_layers: 2, num_attention_heads: 2 };
const JSONS = [
  { model_type: "llama", ...SIZES },
  { model_type: "qwen3", ...SIZES, head_dim: 4 },
  { model_type: "gpt2", vocab_size: 16, n_positions: 32, n_embd: 8, n_layer: 2, n_head: 2 },
  { model_type: "bert", ...SIZES, max_position_embeddings: 32, type_vocab_size: 2, num_labels: 3 },
  {
    model_type: "roberta",
    ...SIZES,
    max_position_embeddings: 34,
    type_vocab_size: 1,
    num_labels: 3,
    pad_token_id: 1,
  },
];

test("each model_type belongs to one family, and an unknown one is refused with those that there are", () => {
  const types = ARCHITECTURES.flatMap(({ types }) => types);
  assertEquals(new Set(types).size, types.length);
  for (const type of types) assert(architectureOf({ model_type: type }).types.includes(type), type);
  const error = assertThrows(
    () => architectureOf({ model_type: "mamba" }),
    'Cannot load a model of model_type "mamba"',
  );
  for (const type of types) assert(error.message.includes(type), `${type} is not in: ${error.message}`);
  assertThrows(() => architectureOf({ model_type: "llama" }, []), "Cannot load a model");
});

for (const json of JSONS) {
  const model: Model = createModel(json), { architecture } = model;
  test(`${json.model_type}: parameters have names of their own, and LoRA's default layers are there`, () => {
    const names = model.parameters.map(({ value }) => value.label);
    assertEquals(new Set(names).size, names.length);
    const layers = linearLayers(model).map(({ name }) => name.split(".").at(-1)!);
    for (const target of architecture.lora_targets) {
      assertEquals(layers.filter((name) => name === target).length, 2, `layers named ${target}`);
    }
    const ignored = architecture.files.ignored(model.config), prefix = architecture.files.prefix(model.config);
    assertEquals(names.filter((name) => ignored.test(name)), [], "parameters that loading would skip");
    assert(names.some((name) => name.startsWith(prefix)), `no parameter begins with ${prefix}`);
  });

  test(`${json.model_type}: a longest sequence, keys of dropout, and factors only where it has them`, () => {
    assertEquals(architecture.maxLength(model.config) + (architecture.positionOffset?.(model.config) ?? 0) > 31, true);
    for (const key of architecture.dropouts) {
      assertThrows(() => architecture.parse({ ...json, [key]: 1 }), "below 1");
    }
    const factors = { rank: 2, alpha: 2 };
    if (!architecture.supportsLowRank) {
      assertThrows(() => createModel(json, { factors }), "Leave out factor_rank");
    } else {
      assert(linearLayers(createModel(json, { factors })).length < linearLayers(model).length, "nothing is factorised");
    }
  });
}

test("the config.json of a model that is made here describes the same model", () => {
  const { architecture, config } = createModel(JSONS[0]!);
  assertEquals(architecture.parse(architecture.toJson!(config)), config);
});
