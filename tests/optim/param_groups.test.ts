import { assert, assertEquals, assertThrows, test } from "../harness.ts";
import { SETTINGS } from "./run_optimizer.ts";
import { LLAMA } from "../../src/models/llama.ts";
import type { LlamaConfig } from "../../src/models/llama_config.ts";
import { trainedParameters } from "../../src/models/parameter.ts";
import type { TrainableVariable } from "../../src/plan/variable.ts";
import { DEFAULT_SPEC, type OptimizerSpec } from "../../src/optim/optimizer_spec.ts";
import { inBlockOrder, matching, type ModulePatterns, updateKindsOf } from "../../src/optim/param_groups.ts";
import { Optimizer } from "../../src/optim/optimizer.ts";
import { resolveOptimizer } from "../../src/optim/presets.ts";

const CONFIG: LlamaConfig = {
  vocab_size: 64,
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 8,
  max_position_embeddings: 16,
  rms_norm_eps: 1e-5,
  rope_parameters: { rope_theta: 10000 },
  tie_word_embeddings: false,
  initializer_range: 0.02,
  qkv_bias: false,
  o_bias: false,
  mlp_bias: false,
  qk_norm: false,
};
const untied = trainedParameters(LLAMA.create(CONFIG, { type: "f32" })),
  tied = trainedParameters(LLAMA.create({ ...CONFIG, tie_word_embeddings: true }, { type: "f32" }));
const nameOf = ({ value }: TrainableVariable): string => value.label;
const layerOf = ({ layer }: TrainableVariable): number | undefined => layer;
const NO_PATTERNS: ModulePatterns = { optim_target_modules: null, state_free_modules: [] };

/** Members of a role, by how many there are of each module. */
function updateKinds(
  members: readonly TrainableVariable[],
  changes: Partial<OptimizerSpec>,
  patterns: Partial<ModulePatterns> = {},
): Record<string, Record<string, number>> {
  const counts: Record<string, Record<string, number>> = {};
  for (
    const [{ kind }, updateKind] of updateKindsOf(members, { ...DEFAULT_SPEC, ...changes }, {
      ...NO_PATTERNS,
      ...patterns,
    })
  ) {
    const own = (counts[updateKind] ??= {});
    own[kind] = (own[kind] ?? 0) + 1;
  }
  return counts;
}

test(
  "modules: seven matrices and two norms a layer, one norm more, embedding and logits; one tensor for both is " +
    "the logits",
  () => {
    const kinds = (members: readonly TrainableVariable[]): string[] =>
      members.filter(({ kind }) => kind !== "linear" && kind !== "norm").map((one) => `${nameOf(one)}: ${one.kind}`);
    assertEquals(kinds(untied), ["model.embed_tokens.weight: embedding", "lm_head.weight: head"]);
    assertEquals(kinds(tied), ["model.embed_tokens.weight: head"]);
    assertEquals([untied, tied].map((members) => members.length), [21, 20]);
  },
);

test("linear layers are split, everything else keeps full state, unless the grid says otherwise", () => {
  const rest = { norm: 5, embedding: 1, head: 1 };
  assertEquals(updateKinds(untied, {}), { target: { linear: 14 }, state_full: rest });
  assertEquals(updateKinds(untied, { proj_norms: true }), {
    target: { linear: 14, norm: 5 },
    state_full: { embedding: 1, head: 1 },
  });
  assertEquals(updateKinds(untied, { proj_embeds: true, proj_logits: true }), {
    target: { linear: 14, embedding: 1, head: 1 },
    state_full: { norm: 5 },
  });
  assertEquals(updateKinds(tied, { proj_embeds: true }), { target: { linear: 14 }, state_full: { norm: 5, head: 1 } });
  assertEquals(updateKinds(tied, { proj_logits: true }), { target: { linear: 14, head: 1 }, state_full: { norm: 5 } });
  // BAdam: all that is in a layer, also its norms.
  assertEquals(updateKinds(untied, { split: "layers" }), {
    target: { linear: 14, norm: 4 },
    state_full: { norm: 1, embedding: 1, head: 1 },
  });
});

test("patterns choose among linear layers: targets, and those that never keep state", () => {
  assertEquals(updateKinds(untied, {}, { optim_target_modules: ["q_proj", "v_proj"] }), {
    target: { linear: 4 },
    state_full: { linear: 10, norm: 5, embedding: 1, head: 1 },
  });
  assertEquals(updateKinds(untied, {}, { optim_target_modules: ["layers\\.1\\."] }).target, { linear: 7 });
  assertEquals(updateKinds(untied, {}, { state_free_modules: ["mlp"] }), {
    state_free: { linear: 6 },
    target: { linear: 8 },
    state_full: { norm: 5, embedding: 1, head: 1 },
  });
  assertEquals(
    updateKinds(untied, {}, { optim_target_modules: ["attn"], state_free_modules: ["o_proj$|o_proj\\."] }).state_free,
    { linear: 2 },
  );
});

test("a pattern that matches nothing, or is none, is refused in one line with what there is", () => {
  const roleOf = (patterns: Partial<ModulePatterns>) => () =>
    updateKindsOf(untied, DEFAULT_SPEC, { ...NO_PATTERNS, ...patterns });
  const messages = [
    assertThrows(
      roleOf({ optim_target_modules: ["q_proj", "query"] }),
      'Cannot use "optim_target_modules": "query" matches no module. There are self_attn.q_proj, ' +
        "self_attn.k_proj, self_attn.v_proj, self_attn.o_proj, mlp.gate_proj, mlp.up_proj, mlp.down_proj",
    ),
    assertThrows(
      roleOf({ state_free_modules: ["norm"] }),
      'Cannot use "state_free_modules": "norm" matches no module. There are ',
    ),
    assertThrows(
      roleOf({ optim_target_modules: ["q_proj("] }),
      'Cannot use "optim_target_modules": "q_proj(" is no regular expression (',
    ),
    assertThrows(
      () => matching("frozen_modules", ["x"], untied),
      'Cannot use "frozen_modules": "x" matches no module. There are model.embed_tokens, ',
    ),
  ];
  for (const { message } of messages) assert(!message.includes("\n"), message);
});

test("norms cannot be split into columns, rows or a low rank: refused in one line", () => {
  const settings = { ...SETTINGS, max_steps: 10 };
  for (const [split, what] of [["columns", "columns"], ["rows", "rows"], ["low_rank", "a low rank"]] as const) {
    const { message } = assertThrows(
      () => new Optimizer(untied, resolveOptimizer("frugal", { split, proj_norms: true }), settings),
      `Cannot split model.layers.0.input_layernorm.weight (16) into ${what}: expected a matrix. Leave norms out ` +
        `(proj_norms false), or use split "blocks"`,
    );
    assert(!message.includes("\n"), message);
  }
  for (const changes of [{ split: "blocks" }, { split: "none" }] as const) {
    new Optimizer(untied, resolveOptimizer("frugal", { ...changes, proj_norms: true }), settings);
  }
});

test("layers are numbered by name, and FRUGAL's order within a layer has down before up", () => {
  const targets = untied.filter(({ kind }) => kind === "linear");
  assertEquals(targets.map(layerOf), [...Array(7).fill(0), ...Array(7).fill(1)]);
  assertEquals(layerOf(untied[0]!), undefined);
  const order = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "up_proj"];
  const shuffled = targets.toReversed();
  assertEquals(inBlockOrder(shuffled).map((one) => nameOf(one).split(".").at(-2)), [...order, ...order]);
  assertEquals(inBlockOrder(shuffled).map(layerOf), targets.map(layerOf));
  // Parameters in no layer come last, in their own order.
  assertEquals(inBlockOrder(untied).slice(-3).map(nameOf), [
    "model.embed_tokens.weight",
    "model.norm.weight",
    "lm_head.weight",
  ]);
});
