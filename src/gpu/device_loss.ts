import type { Gpu } from "./device.ts";

/** Awaits GPU work, or throws what went wrong meanwhile. */
export type Guard = <T>(work: Promise<T>) => Promise<T>;

/** Time to wait for the loss, which browsers may report a moment after the call that failed by it. */
const MILLISECONDS_TO_HEAR = 100;

/**
 * A guard for promises of the GPU: a lost device leaves them pending for ever, or rejects them with whatever the
 * browser says, so the guard rejects with DeviceLostError. It also throws errors that WebGPU reported outside any
 * scope.
 */
export function guardAgainstLoss(gpu: Gpu): Guard {
  // One reaction on the long-lived promise serves all: a reaction for each await would never be freed.
  const waiting = new Set<(error: Error) => void>();
  let gone: Error | undefined;
  const lost = gpu.lost.then((error) => {
    gone = error;
    for (const reject of waiting) reject(error);
    return error;
  });
  return (work) =>
    new Promise((resolve, reject) => {
      // Work that is awaited after the loss may be pending for ever.
      if (gone) reject(gone);
      waiting.add(reject);
      work.then((result) => {
        const error = gpu.uncaptured();
        if (error) reject(error);
        else resolve(result);
      }, async (error) => {
        const silence = new Promise<Error>((pass) => setTimeout(pass, MILLISECONDS_TO_HEAR, error));
        reject(await Promise.race([lost, silence]));
      }).finally(() => waiting.delete(reject));
    });
}
