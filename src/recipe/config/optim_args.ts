import * as v from "valibot";
import { BLOCK_ORDERS } from "../../optim/split/blocks.ts";
import {
  type OptimizerSpec,
  PROJECTION_TYPES,
  PROJECTIONS,
  SPLITS,
  STATE_FREE_RULES,
  SWITCHES,
} from "../../optim/optimizer_spec.ts";
import { RULE_NAMES } from "../../optim/rule/rules.ts";
import { count, flag, fraction, oneOf, patterns, positive, share, zeroOrMore } from "./checks.ts";
import type { OptimArgs } from "./training_config.ts";

/**
 * Every key of optim_args; what is not given is the optimizer's own. Names are those of FRUGAL, GaLore, APOLLO and
 * transformers.
 */
const entries = {
  split: v.optional(oneOf(SPLITS)),
  density: v.optional(share),
  density_end: v.optional(v.nullable(share)),
  rank: v.optional(v.nullable(count)),
  proj: v.optional(oneOf(PROJECTIONS)),
  proj_type: v.optional(oneOf(PROJECTION_TYPES)),
  block_order: v.optional(oneOf(BLOCK_ORDERS)),
  active_update_rule: v.optional(oneOf([...RULE_NAMES, "none"])),
  optim_bits: v.optional(v.picklist([8, 32], "must be 8 or 32")),
  inactive_update_rule: v.optional(oneOf(STATE_FREE_RULES)),
  update_gap: v.optional(count),
  update_gap_max: v.optional(v.nullable(count)),
  switch_moments: v.optional(oneOf(SWITCHES)),
  stagger: v.optional(count),
  scale: v.optional(positive),
  scale_type: v.optional(oneOf(["channel", "tensor"])),
  scale_front: v.optional(flag),
  disable_nl: v.optional(flag),
  proj_params_lr_scale: v.optional(zeroOrMore),
  inactive_lr_scale: v.optional(zeroOrMore),
  decay: v.optional(oneOf(["before", "after"])),
  momentum: v.optional(fraction),
  nesterov: v.optional(flag),
  proj_norms: v.optional(flag),
  proj_embeds: v.optional(flag),
  proj_logits: v.optional(flag),
  badam_switch: v.optional(flag),
  state_free_modules: v.optional(patterns),
} satisfies Record<keyof OptimArgs, unknown>;

export const optimArgs = v.strictObject(entries);

/** The published codes' other names for the same. */
export const ALIASES: Readonly<Record<string, keyof typeof entries>> = {
  update_proj_gap: "update_gap",
  switch_block_every: "update_gap",
  coord_choice: "split",
  switch_mode: "block_order",
  alpha: "scale",
};

/** optim_args under their own names. */
export function nameOptimArgs(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => {
      if (key === "reset_statistics") return ["switch_moments", value === true ? "reset" : "keep"];
      return [Object.hasOwn(ALIASES, key) ? ALIASES[key]! : key, value];
    }),
  );
}

/** The changes that optim_args make to a spec. */
export function specChanges({ state_free_modules: _modules, ...rest }: OptimArgs): Partial<OptimizerSpec> {
  return Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
}
