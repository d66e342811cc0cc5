import { assert, assertEquals, assertThrows, test } from "../harness.ts";
import { DEFAULT_SPEC, type OptimizerSpec } from "../../src/optim/optimizer_spec.ts";
import { type OptimizerName, OPTIMIZERS, PRESETS, resolveOptimizer } from "../../src/optim/presets.ts";

const FRUGAL: Partial<OptimizerSpec> = {
  active_update_rule: "adam",
  inactive_update_rule: "sign_sgd",
  inactive_lr_scale: 1,
  proj_params_lr_scale: 1,
  decay: "before",
};
const SWITCHED: Partial<OptimizerSpec> = { density: 0.25, update_gap: 200, switch_moments: "reset" };
const GALORE: Partial<OptimizerSpec> = {
  split: "low_rank",
  proj: "svd",
  proj_type: "std",
  scale: 0.25,
  active_update_rule: "adam_hf",
  update_gap: 200,
  switch_moments: "keep",
  decay: "after",
};
const APOLLO: Partial<OptimizerSpec> = {
  ...GALORE,
  proj: "random",
  scale: 1,
  scale_type: "channel",
  scale_front: false,
  disable_nl: false,
  inactive_update_rule: "apollo",
};

/**
 * The authors' code by its places: the whole grid of each optimizer but for what has no meaning in it.
 * - FRUGAL (fzmushko/FRUGAL): moments and their count of steps begin anew at a switch, weights decay before the update,
 * signs of the rest at the same rate, density 0.25, gap 200; blocks descending, coordinates are columns.
 * - GaLore (jiaweizzhao/GaLore), Fira (xichen-fy/Fira), APOLLO (zhuhanqing/APOLLO): Adam with epsilon before the bias
 * correction, moments never reset, decay after the update, the smaller side; scale 0.25 for GaLore and Fira, 1 for
 * APOLLO, 128 at rank 1 of a whole tensor.
 * - BAdam (Ledzy/BAdam): one layer at a time at random, the others do not move, 100 steps, all moments forgotten at a
 * switch. What is in no layer is always trained, as in FRUGAL's runs of it.
 * - SCALE (Glentis et al.): gradients of linear layers normalised by row, no state. Theirs has momentum for the last
 * layer, and for the embedding none; here both are Adam's, as for all others of this list.
 */
const AUTHORS: Record<OptimizerName, Partial<OptimizerSpec>> = {
  adamw: { split: "all", active_update_rule: "adam", optim_bits: 32, decay: "before" },
  adamw_8bit: { split: "all", active_update_rule: "adam", optim_bits: 8, decay: "before" },
  lion: { split: "all", active_update_rule: "lion", decay: "before" },
  sgd: { split: "all", active_update_rule: "sgd", momentum: 0.9, nesterov: false },
  sign_sgd: { split: "none", active_update_rule: "none", inactive_update_rule: "sign_sgd" },
  scale: { split: "none", active_update_rule: "adam", inactive_update_rule: "row_normalized" },
  frugal: { ...FRUGAL, ...SWITCHED, split: "columns" },
  frugal_blocks: { ...FRUGAL, ...SWITCHED, split: "blocks", block_order: "descending" },
  frugal_svd: { ...FRUGAL, ...SWITCHED, split: "low_rank", rank: null, proj: "svd", proj_type: "std", scale: 1 },
  frugal_zero: { ...FRUGAL, split: "none" },
  badam: {
    split: "layers",
    density: 0,
    block_order: "random",
    active_update_rule: "adam",
    inactive_update_rule: "no",
    update_gap: 100,
    badam_switch: true,
    decay: "before",
  },
  galore: { ...GALORE, inactive_update_rule: "no", optim_bits: 32 },
  galore_8bit: { ...GALORE, inactive_update_rule: "no", optim_bits: 8 },
  fira: { ...GALORE, inactive_update_rule: "fira", disable_nl: false },
  apollo: APOLLO,
  apollo_mini: { ...APOLLO, rank: 1, scale: 128, scale_type: "tensor" },
};

test("every preset is what its authors' code does", () => {
  assertEquals(Object.keys(AUTHORS), OPTIMIZERS);
  for (const optim of OPTIMIZERS) {
    const spec = resolveOptimizer(optim, {});
    assertEquals(
      Object.fromEntries(Object.keys(AUTHORS[optim]).map((key) => [key, spec[key as keyof OptimizerSpec]])),
      AUTHORS[optim],
      optim,
    );
    assert(
      PRESETS[optim].learning_rate > 0 && PRESETS[optim].summary.length < 60 && !PRESETS[optim].summary.includes("\n"),
      optim,
    );
    // Embeddings, norms and logits are not split.
    assertEquals([spec.proj_norms, spec.proj_embeds, spec.proj_logits, spec.stagger, spec.density_end], [
      false,
      false,
      false,
      1,
      null,
    ], optim);
  }
});

test("changes win over the preset, the preset over the defaults; a density asks for a rank of its own", () => {
  assertEquals(resolveOptimizer("adamw", {}), DEFAULT_SPEC);
  assertEquals(resolveOptimizer("galore", { scale: 0.5, rank: 8 }), {
    ...DEFAULT_SPEC,
    ...PRESETS.galore.spec,
    scale: 0.5,
    rank: 8,
  });
  const ranks = [
    resolveOptimizer("apollo_mini", {}),
    resolveOptimizer("apollo_mini", { density: 0.5 }),
    resolveOptimizer("apollo_mini", { density: 0.5, rank: 4 }),
  ].map(({ rank }) => rank);
  assertEquals(ranks, [1, null, 4]);
});

test("what contradicts itself is refused in one line that says what to do", () => {
  const refusals: [OptimizerName, Partial<OptimizerSpec>, string][] = [
    [
      "frugal_svd",
      { density_end: 0.1 },
      'density_end changes a density as it goes, and split "low_rank" has a fixed size. Leave density_end out, ' +
      "or use columns, rows, randk or blocks",
    ],
    ["badam", { density_end: 0.1 }, 'split "layers" has a fixed size'],
    [
      "frugal_blocks",
      { density_end: 0.1, block_order: "mirror" },
      'block_order "mirror" takes as many matrices from the front as from the back, and density_end changes how ' +
      "many. Use another order, or leave density_end out",
    ],
    [
      "frugal_blocks",
      { stagger: 2 },
      'stagger spreads the switches of single matrices, and split "blocks" switches them together. Leave stagger out',
    ],
    ["badam", { stagger: 2 }, 'split "layers" switches them together'],
    [
      "frugal_blocks",
      { inactive_update_rule: "fira" },
      'inactive_update_rule "fira" takes its scale from a state-full part of the same matrix, and split ' +
      '"blocks" has none. Use low_rank, columns, rows or randk',
    ],
    [
      "frugal_zero",
      { inactive_update_rule: "apollo" },
      'inactive_update_rule "apollo" takes its scale from a state-full part of the same matrix, and split ' +
      '"none" has none',
    ],
    ["badam", { inactive_update_rule: "fira" }, 'split "layers" has none'],
    [
      "frugal",
      { switch_moments: "rotate" },
      'switch_moments "rotate" turns moments into a new basis, and split "columns" has none. Use reset or keep',
    ],
    ["adamw", { switch_moments: "rotate" }, 'split "all" has none. Use reset or keep'],
    [
      "apollo",
      { switch_moments: "rotate" },
      'switch_moments "rotate" needs one orthonormal basis, not proj "random" with proj_type "std". Use svd, ' +
      "dct or random_orthogonal on one side",
    ],
    ["galore", { switch_moments: "rotate", proj_type: "full" }, 'not proj "svd" with proj_type "full"'],
    [
      "galore_8bit",
      { switch_moments: "rotate" },
      'switch_moments "rotate" turns moments of 32 bits, and optim_bits is 8. Use reset or keep',
    ],
    [
      "frugal",
      { active_update_rule: "none" },
      'split "columns" needs an active_update_rule. Use split "none" to update without state',
    ],
    ["frugal", { update_gap_max: 100 }, "update_gap_max 100 is below update_gap 200. Give a larger one"],
  ];
  for (const [optim, changes, message] of refusals) {
    const error = assertThrows(() => resolveOptimizer(optim, changes), message);
    assert(
      error instanceof RangeError && error.message.startsWith(`Cannot use optim "${optim}" so: `) &&
        !error.message.includes("\n"),
      error.message,
    );
  }
});

test("the same values are allowed where they have a meaning", () => {
  const allowed: [OptimizerName, Partial<OptimizerSpec>][] = [
    ["frugal", { density_end: 0.1, stagger: 4 }],
    ["frugal_blocks", { density_end: 0.1 }],
    ["frugal", { inactive_update_rule: "fira" }],
    ["frugal", { split: "randk", inactive_update_rule: "apollo" }],
    ["galore", { switch_moments: "rotate", stagger: 7 }],
    ["fira", { switch_moments: "rotate", proj: "dct" }],
    ["frugal", { update_gap_max: 200 }],
    ["sign_sgd", { inactive_update_rule: "column_normalized" }],
  ];
  for (const [optim, changes] of allowed) {
    assertEquals(
      Object.entries(resolveOptimizer(optim, changes)).filter(([key]) => key in changes).length,
      Object.keys(changes).length,
    );
  }
});
