import type { ByteSource } from "../source/source.ts";

/**
 * The numbered checkpoints of a run, each whole or not there. A run has one user at a time, who calls one method at a
 * time.
 */
export interface CheckpointStore {
  /**
   * Writes a checkpoint. Once its bytes survive a crash, others are dropped: all but the newest `keep`, and those of
   * later steps, which a run that went back to an earlier one has left behind. If it rejects, the others are intact.
   * @throws StorageFullError, or what `bytes` throws.
   */
  save(step: number, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void>;
  /** Steps of the whole checkpoints, ascending. */
  list(): Promise<number[]>;
  /**
   * Opens a checkpoint for reading in parts, until it is dropped.
   * @throws RangeError if there is no whole one of this step.
   */
  open(step: number): Promise<ByteSource>;
  /** Lets others use the run. */
  close(): Promise<void>;
}

/** The disk is full, or the quota of a page. The unfinished file is removed, the others are intact. */
export class StorageFullError extends Error {
  /** Tells this error from others across a Worker's border. */
  override name = "StorageFullError";
}

/** Another process, tab or Worker uses the run. */
export class RunInUseError extends Error {
  /** Tells this error from others across a Worker's border. */
  override name = "RunInUseError";
}

/** Checks the number of checkpoints to keep. @throws RangeError */
export function checkKeep(keep: number): void {
  if (!(Number.isSafeInteger(keep) && keep >= 1)) {
    throw new RangeError(`Cannot keep ${keep} checkpoints: expected a whole number above 0`);
  }
}

/** Checks the step of a checkpoint. @throws RangeError */
export function checkStep(step: number): void {
  if (!(Number.isSafeInteger(step) && step >= 0)) {
    throw new RangeError(`Cannot save a checkpoint of step ${step}: expected a whole number`);
  }
}

export const noCheckpoint = (run: string, step: number, steps: readonly number[]): RangeError =>
  new RangeError(
    `Cannot open the checkpoint of step ${step} of ${run}: ${
      steps.length === 0 ? "there is none yet" : `expected one of ${steps.join(", ")}`
    }`,
  );

/** The ascending `steps`, `saved` among them, that go once `saved` is safe. */
export function stepsToDrop(steps: readonly number[], saved: number, keep: number): number[] {
  const kept = steps.filter((step) => step <= saved).slice(-keep);
  return steps.filter((step) => !kept.includes(step));
}
