import { GRID, type Grid } from "./grid.ts";

export interface Preset {
  /** The method in a line. */
  readonly summary: string;
  /** Peak learning rate if the user gives none. */
  readonly learning_rate: number;
  /** Differences from GRID. */
  readonly grid: Partial<Grid>;
}

/**
 * Common values of GaLore, Fira and APOLLO: Adam in its older Hugging Face form, whose moments outlive their subspace.
 */
const GALORE = {
  split: "low_rank",
  active_update_rule: "adam_hf",
  switch_moments: "keep",
  decay: "after",
} as const satisfies Partial<Grid>;
const FRUGAL = { inactive_update_rule: "sign_sgd" } as const satisfies Partial<Grid>;

/** Every optimizer by its name in `optim`: the published methods as points of the grid. */
export const PRESETS = {
  adamw: { summary: "Adam with decoupled weight decay", learning_rate: 3e-3, grid: {} },
  adamw_8bit: { summary: "AdamW with moments in eight bits", learning_rate: 3e-3, grid: { optim_bits: 8 } },
  lion: { summary: "the sign of a momentum", learning_rate: 3e-4, grid: { active_update_rule: "lion" } },
  sgd: { summary: "gradient descent with momentum", learning_rate: 3e-1, grid: { active_update_rule: "sgd" } },
  sign_sgd: {
    summary: "the sign of the gradient, no state",
    learning_rate: 3e-4,
    grid: { split: "none", active_update_rule: "none", inactive_update_rule: "sign_sgd" },
  },
  scale: {
    summary: "row-normalised gradients, Adam for the rest",
    learning_rate: 3e-3,
    grid: { split: "none", inactive_update_rule: "row_normalized" },
  },
  frugal: {
    summary: "Adam on some columns, sign on the others",
    learning_rate: 3e-3,
    grid: { ...FRUGAL, split: "columns" },
  },
  frugal_blocks: {
    summary: "Adam on some matrices, sign on the others",
    learning_rate: 3e-3,
    grid: { ...FRUGAL, split: "blocks" },
  },
  frugal_svd: {
    summary: "Adam in a low rank, sign on the residual",
    learning_rate: 3e-3,
    grid: { ...FRUGAL, split: "low_rank" },
  },
  frugal_zero: {
    summary: "sign on linear layers, Adam for the rest",
    learning_rate: 3e-3,
    grid: { ...FRUGAL, split: "none" },
  },
  badam: {
    summary: "Adam on one layer at a time",
    learning_rate: 1e-3,
    grid: { split: "layers", density: 0, block_order: "random", update_gap: 100, badam_switch: true },
  },
  galore: { summary: "Adam in a low rank", learning_rate: 1e-2, grid: { ...GALORE, scale: 0.25 } },
  galore_8bit: {
    summary: "GaLore with moments in eight bits",
    learning_rate: 1e-2,
    grid: { ...GALORE, scale: 0.25, optim_bits: 8 },
  },
  fira: {
    summary: "Adam in a low rank, the residual scaled like it",
    learning_rate: 1e-2,
    grid: { ...GALORE, scale: 0.25, inactive_update_rule: "fira" },
  },
  apollo: {
    summary: "gradients scaled by Adam in a random low rank",
    learning_rate: 1e-2,
    grid: { ...GALORE, proj: "random", inactive_update_rule: "apollo" },
  },
  apollo_mini: {
    summary: "the same with rank 1",
    learning_rate: 1e-2,
    grid: { ...GALORE, proj: "random", rank: 1, scale: 128, scale_type: "tensor", inactive_update_rule: "apollo" },
  },
} as const satisfies Record<string, Preset>;

export type OptimizerName = keyof typeof PRESETS;
export const OPTIMIZERS = Object.keys(PRESETS) as [OptimizerName, ...OptimizerName[]];

/**
 * The grid of an optimizer with the user's changes.
 * @throws RangeError if values do not go together.
 */
export function gridOf(optim: OptimizerName, changes: Partial<Grid>): Grid {
  const grid: Grid = { ...GRID, ...PRESETS[optim].grid, ...changes };
  // A given density replaces a rank of the preset.
  const result = changes.density !== undefined && changes.rank === undefined ? { ...grid, rank: null } : grid;
  const problem = contradiction(result);
  if (problem) throw new RangeError(`Cannot use optim "${optim}" so: ${problem}`);
  return result;
}

function contradiction(grid: Grid): string | undefined {
  const { split, inactive_update_rule: free, density_end, stagger } = grid;
  const isWhole = split === "blocks" || split === "layers",
    isSelected = split === "columns" || split === "rows" || split === "randk";
  if (density_end !== null && !isSelected && split !== "blocks") {
    return `density_end changes a density as it goes, and split "${split}" has a fixed size. Leave density_end out, ` +
      "or use columns, rows, randk or blocks";
  }
  if (density_end !== null && split === "blocks" && grid.block_order === "mirror") {
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
  if (grid.switch_moments === "rotate" && split !== "low_rank") {
    return `switch_moments "rotate" turns moments into a new basis, and split "${split}" has none. Use reset or keep`;
  }
  if (grid.switch_moments === "rotate" && (grid.proj === "random" || grid.proj_type === "full")) {
    return `switch_moments "rotate" needs one orthonormal basis, not proj "${grid.proj}" with proj_type ` +
      `"${grid.proj_type}". Use svd, dct or random_orthogonal on one side`;
  }
  if (grid.switch_moments === "rotate" && grid.optim_bits === 8) {
    return 'switch_moments "rotate" turns moments of 32 bits, and optim_bits is 8. Use reset or keep';
  }
  if (split !== "none" && split !== "all" && grid.active_update_rule === "none") {
    return `split "${split}" needs an active_update_rule. Use split "none" to update without state`;
  }
  if (grid.update_gap_max !== null && grid.update_gap_max < grid.update_gap) {
    return `update_gap_max ${grid.update_gap_max} is below update_gap ${grid.update_gap}. Give a larger one`;
  }
  return undefined;
}
