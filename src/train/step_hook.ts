import type { Program } from "../plan/recorder.ts";
import type { Trainer } from "./trainer.ts";

/**
 * Work between optimizer steps, such as merging adapters or averaging weights. A hook may be called again for steps
 * that a lost device takes back, so whatever it remembers belongs into tensors of role "state" of its programs: they
 * are planned, saved and restored with the run.
 */
export interface StepHook {
  /** The hook is called at each multiple of this number of steps. */
  readonly every: number;
  /** Programs that the hook runs, planned together with those of the run. */
  readonly programs?: readonly Program[];
  /** Clears all moments after `before`, and lets the learning rate recover: for hooks that change the weights. */
  readonly restartsMoments?: boolean;
  /** Called before step number `trainer.steps`, counted from 0, but not before the first. */
  before?(trainer: Trainer): void | Promise<void>;
  /** Called after a step, when `trainer.steps` are done. */
  after?(trainer: Trainer): void | Promise<void>;
}

/** Calls the hooks that are due before the next step. */
export async function runBefore(hooks: readonly StepHook[], trainer: Trainer): Promise<void> {
  for (const hook of hooks) {
    if (!hook.before || trainer.steps === 0 || trainer.steps % hook.every !== 0) continue;
    await hook.before(trainer);
    if (hook.restartsMoments) trainer.restartMoments();
  }
}

/** Calls the hooks that are due after the last step. */
export async function runAfter(hooks: readonly StepHook[], trainer: Trainer): Promise<void> {
  for (const hook of hooks) if (trainer.steps % hook.every === 0) await hook.after?.(trainer);
}

/** The last step up to `step` before which moments began again; -Infinity if there is none. */
export function lastRestart(hooks: readonly StepHook[], step: number): number {
  const restarts = hooks.filter(({ restartsMoments, every }) => restartsMoments && step >= every);
  return restarts.reduce((last, { every }) => Math.max(last, step - (step % every)), -Infinity);
}
