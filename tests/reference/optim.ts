// Optimizer rules, clipping and its norm in f64: the specification of src/optim. A step changes its arrays in place.

import type { Reals } from "./ops.ts";

/** L2 norm of all gradients together. */
export const globalNorm = (gradients: readonly Reals[]): number =>
  Math.sqrt(gradients.reduce((sum, gradient) => sum + gradient.reduce((s, g) => s + g * g, 0), 0));

/** The factor of each gradient by PyTorch's clip_grad_norm_. 0 = no clipping. */
export const clipScale = (
  norm: number,
  maxNorm: number,
): number => (maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1);

export interface Adam {
  readonly adam_beta1: number;
  readonly adam_beta2: number;
  readonly adam_epsilon: number;
  readonly weight_decay: number;
}

/** Makes step t = 1, 2, … of AdamW. */
export function adamw(
  [parameter, m, v]: readonly Reals[],
  gradient: Reals,
  lr: number,
  t: number,
  { adam_beta1, adam_beta2, adam_epsilon, weight_decay }: Adam,
): void {
  gradient.forEach((g, i) => {
    m![i] = adam_beta1 * m![i]! + (1 - adam_beta1) * g;
    v![i] = adam_beta2 * v![i]! + (1 - adam_beta2) * g * g;
    const mean = m![i]! / (1 - adam_beta1 ** t), square = v![i]! / (1 - adam_beta2 ** t);
    parameter![i] = parameter![i]! - lr * weight_decay * parameter![i]! -
      (lr * mean) / (Math.sqrt(square) + adam_epsilon);
  });
}

export interface Sgd {
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weight_decay: number;
}

export function sgd(
  [parameter, momentum]: readonly Reals[],
  gradient: Reals,
  lr: number,
  { momentum: mu, nesterov, weight_decay }: Sgd,
): void {
  gradient.forEach((g, i) => {
    momentum![i] = mu * momentum![i]! + g;
    const move = nesterov ? g + mu * momentum![i]! : momentum![i]!;
    parameter![i] = parameter![i]! - lr * weight_decay * parameter![i]! - lr * move;
  });
}

export function signSgd(
  [parameter]: readonly Reals[],
  gradient: Reals,
  lr: number,
  { weight_decay }: { readonly weight_decay: number },
): void {
  gradient.forEach((g, i) => {
    parameter![i] = parameter![i]! - lr * weight_decay * parameter![i]! - lr * Math.sign(g);
  });
}
