import { DEFAULT_SPEC, type OptimizerSpec } from "./optimizer_spec.ts";

/** A named point of the grid of optimizers. */
export interface Preset {
  /** The method in a line. */
  readonly summary: string;
  /** Peak learning rate if the user gives none. */
  readonly learning_rate: number;
  /** Differences from GRID. */
  readonly spec: Partial<OptimizerSpec>;
}

/**
 * Common values of GaLore, Fira and APOLLO: Adam in its older Hugging Face form, whose moments outlive their subspace.
 */
const GALORE = {
  split: "low_rank",
  active_update_rule: "adam_hf",
  switch_moments: "keep",
  decay: "after",
} as const satisfies Partial<OptimizerSpec>;
const FRUGAL = { inactive_update_rule: "sign_sgd" } as const satisfies Partial<OptimizerSpec>;

/** Every optimizer by its name in `optim`: the published methods as points of the grid. */
export const PRESETS = {
  adamw: { summary: "Adam with decoupled weight decay", learning_rate: 3e-3, spec: {} },
  adamw_8bit: { summary: "AdamW with moments in eight bits", learning_rate: 3e-3, spec: { optim_bits: 8 } },
  lion: { summary: "the sign of a momentum", learning_rate: 3e-4, spec: { active_update_rule: "lion" } },
  sgd: { summary: "gradient descent with momentum", learning_rate: 3e-1, spec: { active_update_rule: "sgd" } },
  sign_sgd: {
    summary: "the sign of the gradient, no state",
    learning_rate: 3e-4,
    spec: { split: "none", active_update_rule: "none", inactive_update_rule: "sign_sgd" },
  },
  scale: {
    summary: "row-normalised gradients, Adam for the rest",
    learning_rate: 3e-3,
    spec: { split: "none", inactive_update_rule: "row_normalized" },
  },
  frugal: {
    summary: "Adam on some columns, sign on the others",
    learning_rate: 3e-3,
    spec: { ...FRUGAL, split: "columns" },
  },
  frugal_blocks: {
    summary: "Adam on some matrices, sign on the others",
    learning_rate: 3e-3,
    spec: { ...FRUGAL, split: "blocks" },
  },
  frugal_svd: {
    summary: "Adam in a low rank, sign on the residual",
    learning_rate: 3e-3,
    spec: { ...FRUGAL, split: "low_rank" },
  },
  frugal_zero: {
    summary: "sign on linear layers, Adam for the rest",
    learning_rate: 3e-3,
    spec: { ...FRUGAL, split: "none" },
  },
  badam: {
    summary: "Adam on one layer at a time",
    learning_rate: 1e-3,
    spec: { split: "layers", density: 0, block_order: "random", update_gap: 100, badam_switch: true },
  },
  galore: { summary: "Adam in a low rank", learning_rate: 1e-2, spec: { ...GALORE, scale: 0.25 } },
  galore_8bit: {
    summary: "GaLore with moments in eight bits",
    learning_rate: 1e-2,
    spec: { ...GALORE, scale: 0.25, optim_bits: 8 },
  },
  fira: {
    summary: "Adam in a low rank, the residual scaled like it",
    learning_rate: 1e-2,
    spec: { ...GALORE, scale: 0.25, inactive_update_rule: "fira" },
  },
  apollo: {
    summary: "gradients scaled by Adam in a random low rank",
    learning_rate: 1e-2,
    spec: { ...GALORE, proj: "random", inactive_update_rule: "apollo" },
  },
  apollo_mini: {
    summary: "the same with rank 1",
    learning_rate: 1e-2,
    spec: { ...GALORE, proj: "random", rank: 1, scale: 128, scale_type: "tensor", inactive_update_rule: "apollo" },
  },
} as const satisfies Record<string, Preset>;

/** The name of a preset. */
export type OptimizerName = keyof typeof PRESETS;
/** The names of all presets. */
export const OPTIMIZERS = Object.keys(PRESETS) as [OptimizerName, ...OptimizerName[]];

/**
 * The spec of an optimizer with the user's changes.
 * @throws RangeError if values do not go together.
 */
export function resolveOptimizer(optim: OptimizerName, changes: Partial<OptimizerSpec>): OptimizerSpec {
  const spec: OptimizerSpec = { ...DEFAULT_SPEC, ...PRESETS[optim].spec, ...changes };
  // A given density replaces a rank of the preset.
  const result = changes.density !== undefined && changes.rank === undefined ? { ...spec, rank: null } : spec;
  const problem = contradiction(result);
  if (problem) throw new RangeError(`Cannot use optim "${optim}" so: ${problem}`);
  return result;
}

function contradiction(spec: OptimizerSpec): string | undefined {
  const { split, inactive_update_rule: free, density_end, stagger } = spec;
  const isWhole = split === "blocks" || split === "layers",
    isSelected = split === "columns" || split === "rows" || split === "randk";
  if (density_end !== null && !isSelected && split !== "blocks") {
    return `density_end changes a density as it goes, and split "${split}" has a fixed size. Leave density_end out, ` +
      "or use columns, rows, randk or blocks";
  }
  if (density_end !== null && split === "blocks" && spec.block_order === "mirror") {
    return 'block_order "mirror" takes as many matrices from the front as from the back, and density_end changes how ' +
      "many. Use another order, or leave density_end out";
  }
  if (stagger > 1 && isWhole) {
    return `stagger spreads the switches of single matrices, and split "${split}" switches them together. Leave ` +
      "stagger out";
  }
  if ((free === "fira" || free === "apollo") && (isWhole || split === "none")) {
    return `inactive_update_rule "${free}" takes its scale from a state-full part of the same matrix, and split ` +
      `"${split}" has none. Use low_rank, columns, rows or randk`;
  }
  if (spec.switch_moments === "rotate" && split !== "low_rank") {
    return `switch_moments "rotate" turns moments into a new basis, and split "${split}" has none. Use reset or keep`;
  }
  if (spec.switch_moments === "rotate" && (spec.proj === "random" || spec.proj_type === "full")) {
    return `switch_moments "rotate" needs one orthonormal basis, not proj "${spec.proj}" with proj_type ` +
      `"${spec.proj_type}". Use svd, dct or random_orthogonal on one side`;
  }
  if (spec.switch_moments === "rotate" && spec.optim_bits === 8) {
    return 'switch_moments "rotate" turns moments of 32 bits, and optim_bits is 8. Use reset or keep';
  }
  if (split !== "none" && split !== "all" && spec.active_update_rule === "none") {
    return `split "${split}" needs an active_update_rule. Use split "none" to update without state`;
  }
  if (spec.update_gap_max !== null && spec.update_gap_max < spec.update_gap) {
    return `update_gap_max ${spec.update_gap_max} is below update_gap ${spec.update_gap}. Give a larger one`;
  }
  return undefined;
}
