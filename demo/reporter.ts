import type { Listener, RunEvent } from "./protocol.ts";

/** Time between reports: a reader can follow ten a second. */
const MILLISECONDS_BETWEEN = 100;

/**
 * Hands the events of a run to the page: all of them, in order, but only so often, and never before the page has taken
 * the last ones. The run itself does not wait for it.
 */
export class Reporter {
  readonly #listener: Listener;
  #waiting: RunEvent[] = [];
  #delivery: Promise<void> | undefined;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  add(event: RunEvent): void {
    this.#waiting.push(event);
    this.#delivery ??= this.#deliver();
  }

  /** Resolves when the page has received everything. */
  async finished(): Promise<void> {
    await this.#delivery;
  }

  async #deliver(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#listener(this.#waiting.splice(0));
      await new Promise((resolve) => setTimeout(resolve, MILLISECONDS_BETWEEN));
    }
    this.#delivery = undefined;
  }
}
