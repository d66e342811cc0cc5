import type { Control } from "../src/exports/train.ts";

/** The run was stopped before it could begin. */
export class StoppedError extends Error {
  override readonly name = "StoppedError";
}

/** Lets the page pause and stop a run. A pause holds the loop on a promise; there is no timer to throttle. */
export class RunControl implements Control {
  readonly #onHeld: () => void;
  #stopped = false;
  #gate: PromiseWithResolvers<void> | undefined;

  /** `onHeld` is called when the loop has reached the pause and stands still. */
  constructor(onHeld: () => void) {
    this.#onHeld = onHeld;
  }

  pause(): void {
    if (!this.#stopped) this.#gate ??= Promise.withResolvers();
  }

  resume(): void {
    this.#gate?.resolve();
    this.#gate = undefined;
  }

  /** Stops the run; a paused one goes on for its last step. */
  stop(): void {
    this.#stopped = true;
    this.resume();
  }

  stopped(): boolean {
    return this.#stopped;
  }

  async unpaused(): Promise<void> {
    while (this.#gate) {
      this.#onHeld();
      await this.#gate.promise;
    }
  }
}
