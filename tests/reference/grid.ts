// The grid of memory-efficient optimizers in f64: split × state-full rule × state-free rule × switch policy, the
// specification of src/optim. FRUGAL (Zmushko et al., 2025), GaLore (Zhao et al., 2024), Fira (Chen et al., 2024),
// APOLLO (Zhu et al., 2024), LDAdam (Robert et al., 2024) and BAdam (Luo et al., 2024) are points of it, as their
// authors' code runs them.

import {
  freshMoments,
  growthDivisor,
  type Moments,
  normRatios,
  rotateMoments,
  type StateFree,
  stateFree,
  stateFull,
  type StateFullSettings,
} from "./grid_rules.ts";
import { type Chosen, type Split, type Subspace, subspace } from "./grid_split.ts";
import type { Reals } from "./ops.ts";

export interface GridCase extends StateFullSettings {
  readonly split: Split;
  readonly state_free: StateFree;
  /** Policy for the moments at a switch. Those of blocks are always reset. "rotate" needs bases. */
  readonly moments: "reset" | "keep" | "rotate";
  /** Place of weight decay: W shrinks by lr · weight_decay before or after the update, always by the plain lr. */
  readonly decay: "before" | "after";
  readonly weight_decay: number;
  /** Factor of the whole update without decay: proj_params_lr_scale. */
  readonly lr_scale: number;
  /** Factor of the state-free part, besides lr_scale. */
  readonly inactive_lr_scale: number;
  /** GaLore's and Fira's alpha, a factor of up(N); APOLLO's scale, whose root is a factor of its update. */
  readonly scale: number;
  /** One norm-based scale a channel (the axis along which R is as long as G) or one a tensor. */
  readonly scale_type: "channel" | "tensor";
  /** True if APOLLO's root of the scale comes before the limiter, not after it. */
  readonly scale_front: boolean;
  /** True with the norm-growth limiter of fira and apollo. */
  readonly limiter: boolean;
}

const DEFAULTS: GridCase = {
  split: "all",
  state_full: "adam",
  state_free: "no",
  moments: "reset",
  decay: "before",
  adam_beta1: 0.9,
  adam_beta2: 0.999,
  adam_epsilon: 1e-8,
  momentum: 0,
  nesterov: false,
  weight_decay: 0,
  lr_scale: 1,
  inactive_lr_scale: 1,
  scale: 1,
  scale_type: "channel",
  scale_front: false,
  limiter: true,
};
/** Defaults of a state-full rule's own code that differ. */
const DEFAULTS_OF: Partial<Record<GridCase["state_full"], Partial<GridCase>>> = {
  adam_hf: { adam_epsilon: 1e-6 },
  lion: { adam_beta2: 0.99 },
};

export const gridCase = (settings: Partial<GridCase>): GridCase => ({
  ...DEFAULTS,
  ...DEFAULTS_OF[settings.state_full ?? "adam"],
  ...settings,
});

export interface GridState {
  /** Subspace of the choice in force; undefined before the first. */
  space: Subspace | undefined;
  moments: Moments;
  /** State of the limiter, never reset: the norm that it let through, and its divisor. */
  norm: number | undefined;
  divisor: number;
}

export interface Grid {
  readonly state: GridState;
  /**
   * Makes one step in place. weights, gradient: (m, n). `chosen`: this step begins with a switch to it. "all" and
   * "none" need no choice.
   * @throws {Error} if nothing was ever chosen, or if kept moments do not fit the choice.
   */
  step(weights: Reals, gradient: Reals, lr: number, chosen?: Chosen): void;
}

export function createGrid(settings: Partial<GridCase>, m: number, n: number): Grid {
  const c = gridCase(settings);
  const state: GridState = {
    space: undefined,
    moments: { m: new Float64Array(), v: new Float64Array(), t: 0 },
    norm: undefined,
    divisor: 1,
  };
  const step = (weights: Reals, gradient: Reals, lr: number, chosen?: Chosen): void => {
    if (chosen || !state.space) switchTo(c, state, m, n, chosen ?? {});
    const update = updateOf(c, state, gradient, m, n), decay = lr * c.weight_decay;
    weights.forEach((weight, i) => {
      const move = lr * c.lr_scale * update[i]!;
      weights[i] = c.decay === "before" ? weight * (1 - decay) - move : (weight - move) * (1 - decay);
    });
  };
  return { state, step };
}

function switchTo(c: GridCase, state: GridState, m: number, n: number, chosen: Chosen): void {
  const from = state.space, to = subspace(c.split, m, n, chosen);
  state.space = to;
  if (!from || c.moments === "reset" || c.split === "blocks") state.moments = freshMoments(to);
  else if (c.moments === "rotate") state.moments = rotateMoments(state.moments, from, to, [m, n], c);
  else if (from.rows !== to.rows || from.columns !== to.columns) {
    throw new Error(`Moments of (${from.rows}, ${from.columns}) cannot be kept for (${to.rows}, ${to.columns})`);
  }
}

/** The update (m, n), without its factors learning rate and lr_scale. */
function updateOf(c: GridCase, state: GridState, gradient: Reals, m: number, n: number): Reals {
  const space = state.space!, part = space.down(gradient);
  const { direction, factor } = stateFull(part, state.moments, c);
  // A whole matrix is not projected back, and leaves nothing to a state-free rule.
  if (c.split === "all" || (c.split === "blocks" && space.whole)) return direction.map((x) => factor * x);
  if (c.state_free === "apollo") {
    return scaledUpdate(c, state, gradient, normRatiosOf(c, space, direction, part, m, n)).map((s) =>
      factor * c.inactive_lr_scale * s
    );
  }
  const active = space.up(direction).map((x) => factor * c.scale * x);
  const back = space.whole ? gradient : space.up(part);
  if (c.state_free === "fira") {
    // alpha is in here too: three quarters of the gradient's part in the subspace stay in the residual when it is 0.25.
    const residual = gradient.map((g, i) => g - c.scale * back[i]!);
    const scaled = scaledUpdate(c, state, residual, normRatiosOf(c, space, direction, part, m, n));
    return active.map((x, i) => x + factor * c.inactive_lr_scale * scaled[i]!);
  }
  const free = stateFree(c.state_free, gradient.map((g, i) => g - back[i]!), n);
  return active.map((x, i) => x + c.inactive_lr_scale * free[i]!);
}

const normRatiosOf = (c: GridCase, space: Subspace, direction: Reals, part: Reals, m: number, n: number): Reals =>
  normRatios(direction, part, c.scale_type === "tensor" ? { ...space, axis: "tensor" } : space, m, n);

/** S: x times its ratios, its norm's growth limited; times APOLLO's root before or after the limiter. */
function scaledUpdate(c: GridCase, state: GridState, x: Reals, ratios: Reals): Reals {
  const root = c.state_free === "apollo" ? Math.sqrt(c.scale) : 1;
  const scaled = x.map((value, i) => value * ratios[i]! * (c.scale_front ? root : 1));
  if (c.limiter) {
    const norm = Math.sqrt(scaled.reduce((sum, value) => sum + value * value, 0));
    state.divisor = growthDivisor(norm, state.norm);
    state.norm = norm / state.divisor;
  }
  return scaled.map((value) => (value / state.divisor) * (c.scale_front ? 1 : root));
}
