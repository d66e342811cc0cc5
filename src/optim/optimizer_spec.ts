import type { BlockOrder } from "./split/blocks.ts";
import type { RuleName } from "./rule/rules.ts";

/** The part of a matrix that is state-full: everything, nothing, or a part that changes from time to time. */
export const SPLITS = ["all", "none", "columns", "rows", "randk", "blocks", "layers", "low_rank"] as const;
/** The part of a matrix that is state-full. */
export type Split = (typeof SPLITS)[number];

/** Rules for the state-free part of the gradient. */
export const STATE_FREE_RULES = [
  "no",
  "sign_sgd",
  "sgd",
  "row_normalized",
  "column_normalized",
  "fira",
  "apollo",
] as const;
/** A rule without state for the rest of a matrix. */
export type StateFreeRule = (typeof STATE_FREE_RULES)[number];

/** Sources of a low-rank subspace. */
export const PROJECTIONS = ["svd", "random", "random_orthogonal", "dct"] as const;
/** The way a projection's matrix is made. */
export type Projection = (typeof PROJECTIONS)[number];

/** The side of a matrix that is projected; std: the smaller one. */
export const PROJECTION_TYPES = ["std", "reverse_std", "left", "right", "full"] as const;
/** The side of a matrix that is projected. */
export type ProjectionType = (typeof PROJECTION_TYPES)[number];

/** Policies for the moments when the subspace changes. */
export const SWITCHES = ["reset", "keep", "rotate"] as const;
/** The policy for a rule's state when the subspace switches. */
export type Moments = (typeof SWITCHES)[number];

/**
 * One point of the grid of optimizers: split × state-full rule × state-free rule × switch policy × who. Every
 * memory-efficient method is a set of these values; `PRESETS` has the published ones, `optim_args` changes any of them.
 */
export interface OptimizerSpec {
  /** The part of a matrix that is state-full. */
  readonly split: Split;
  /** Share of a matrix (of its columns, of all matrices, of its rank) that is state-full. */
  readonly density: number;
  /** Rank of a low-rank split; null: `density` of the projected side. */
  readonly rank: number | null;
  /** The way the projection's matrix is made. */
  readonly proj: Projection;
  /** The side of a matrix that is projected. */
  readonly proj_type: ProjectionType;
  /** The order in which layers take turns. */
  readonly block_order: BlockOrder;
  /** "none": nothing keeps state. */
  readonly active_update_rule: RuleName | "none";
  /** Bits of a number of optimizer state. Tensors of fewer than 4096 numbers always have 32. */
  readonly optim_bits: 32 | 8;
  /** The rule of the part without state. */
  readonly inactive_update_rule: StateFreeRule;
  /** Steps between two choices of the subspace. */
  readonly update_gap: number;
  /** The policy for the state when the subspace switches. */
  readonly switch_moments: Moments;
  /** Groups of matrices that change their subspaces at different steps. */
  readonly stagger: number;
  /** Density at the last step, reached linearly; null: it stays. */
  readonly density_end: number | null;
  /** Largest gap, up to which it grows if the validation loss stops falling; null: it stays. */
  readonly update_gap_max: number | null;
  /** Factor of the projected-back update: GaLore's scale, Fira's alpha. APOLLO's update is multiplied by its root. */
  readonly scale: number;
  /** One scale for each channel, or one for the tensor. */
  readonly scale_type: "channel" | "tensor";
  /** True if APOLLO's root of the scale comes before the norm-growth limiter. */
  readonly scale_front: boolean;
  /** True for no norm-growth limiter. */
  readonly disable_nl: boolean;
  /** Learning rate of the target modules, as a multiple of learning_rate. */
  readonly proj_params_lr_scale: number;
  /** Learning rate of the state-free part, as a multiple of that. */
  readonly inactive_lr_scale: number;
  /** Place of weight decay: before the update (FRUGAL, AdamW), or after it (GaLore and its kin). */
  readonly decay: "before" | "after";
  /** The share of the last update that is kept, in SGD. */
  readonly momentum: number;
  /** True for Nesterov's momentum. */
  readonly nesterov: boolean;
  /** Treat norms, embeddings, logits like the target modules, if that is possible. */
  readonly proj_norms: boolean;
  /** True if embeddings are projected too. */
  readonly proj_embeds: boolean;
  /** True if the output matrix is projected too. */
  readonly proj_logits: boolean;
  /** BAdam's counting: the first period is one step short, and a switch restarts the moments of all parameters. */
  readonly badam_switch: boolean;
}

/** AdamW, from which every preset starts. */
export const DEFAULT_SPEC: OptimizerSpec = {
  split: "all",
  density: 0.25,
  rank: null,
  proj: "svd",
  proj_type: "std",
  block_order: "descending",
  active_update_rule: "adam",
  optim_bits: 32,
  inactive_update_rule: "no",
  update_gap: 200,
  switch_moments: "reset",
  stagger: 1,
  density_end: null,
  update_gap_max: null,
  scale: 1,
  scale_type: "channel",
  scale_front: false,
  disable_nl: false,
  proj_params_lr_scale: 1,
  inactive_lr_scale: 1,
  decay: "before",
  momentum: 0.9,
  nesterov: false,
  proj_norms: false,
  proj_embeds: false,
  proj_logits: false,
  badam_switch: false,
};
