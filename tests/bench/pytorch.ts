// Trains a work with PyTorch, in a process of its own that pytorch.mjs starts, and times it there. Measures as
// runJaxJs in jax_js.ts does; see there. The numbers are handed over rather than made once more, so they are the same.

import { initialWeights, tokenBatch, type Work } from "./works.ts";

/** Sends a request, a line of JSON, to pytorch_trainer.py; gives its reply. */
export type AskPyTorch = (request: string) => Promise<string>;

const WARM_UP_STEPS = 2;

/** Trains `steps` steps after two for warming up, and reads the losses every `stepsPerWait` of them. */
export async function runPyTorch(
  ask: AskPyTorch,
  work: Work,
  steps: number,
  stepsPerWait: number,
): Promise<{ milliseconds: number[]; losses: number[] }> {
  const weights = [...initialWeights(work)].map(([name, { shape, data }]) => [name, shape, base64(data)]);
  const batches = Array.from({ length: WARM_UP_STEPS + steps }, (_, index) => {
    const { input_ids, labels } = tokenBatch(work, index);
    return [base64(input_ids), base64(labels)];
  });
  const reply = JSON.parse(await ask(JSON.stringify({ work, weights, batches, steps_per_wait: stepsPerWait })));
  if (reply.error !== undefined) throw new Error(`PyTorch failed with ${reply.error}`);
  return reply;
}

/** The bytes of an array, little-endian on every machine that has WebGPU. */
function base64({ buffer, byteOffset, byteLength }: Float32Array | Int32Array): string {
  const parts: string[] = [], PART = 8190; // arguments of a call are limited; a multiple of 3 needs no padding
  for (let at = 0; at < byteLength; at += PART) {
    parts.push(btoa(String.fromCharCode(...new Uint8Array(buffer, byteOffset + at, Math.min(PART, byteLength - at)))));
  }
  return parts.join("");
}
