const RECOVERY_STEPS = 10;

/**
 * Learning rate after a momentum reset ("cosine_quick_recovery" of OptimAI-Lab/Memory_Efficient_Pretraining, Glentis et
 * al., 2025): over the 10 steps from `lastRestart` on it grows linearly from a thousandth of the schedule's rate at
 * lastRestart + 10 to all of it, which the last of the ten has. Otherwise the schedule's own, `rateAt(step)`. Pass
 * -Infinity while nothing has been reset.
 */
export function recoveringRate(step: number, lastRestart: number, rateAt: (step: number) => number): number {
  const since = step - lastRestart;
  if (since >= RECOVERY_STEPS) return rateAt(step);
  const target = rateAt(lastRestart + RECOVERY_STEPS);
  return target * (0.001 + (0.999 * since) / (RECOVERY_STEPS - 1));
}
