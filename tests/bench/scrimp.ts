// Trains a work with Scrimp, and times it. Measures as runJaxJs in jax_js.ts does; see there.

import type { Work } from "./works.ts";

/** Trains `steps` steps after two for warming up, and waits for the GPU every `stepsPerWait` of them. */
export function runScrimp(
  _work: Work,
  _steps: number,
  _stepsPerWait = 1,
): Promise<{ milliseconds: number[]; losses: number[]; counters: Record<string, number> }> {
  return Promise.reject(new Error("not wired yet"));
}
