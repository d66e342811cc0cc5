/** The hub cannot be reached, after several attempts. */
export class HubUnreachableError extends Error {
  /** Tells this error from others across a Worker's border. */
  override name = "HubUnreachableError";
}

/** Waits for a number of milliseconds before the next try. */
export type Pause = (milliseconds: number) => Promise<void>;

/** Waits before the attempts after the first, in milliseconds. */
export const WAITS = [250, 1000, 4000];

/** True for answers that another attempt may cure: too many requests, and a server in trouble. */
const isPassing = (status: number): boolean => status === 429 || status >= 500;

/**
 * A fetch that tries again if that may help, and gives the last answer, whatever it is.
 * @throws HubUnreachableError if there was none.
 */
export function patientFetch(fetch: typeof globalThis.fetch, pause: Pause): typeof globalThis.fetch {
  return async (input, init) => {
    for (let attempt = 0;; attempt++) {
      const wait = WAITS[attempt];
      try {
        const response = await fetch(input, init);
        if (!isPassing(response.status) || wait === undefined) return response;
        await response.body?.cancel();
      } catch (error) {
        const host = new URL(input instanceof Request ? input.url : input).host;
        if (wait === undefined) {
          throw new HubUnreachableError(`${host} cannot be reached (${(error as Error).message})`, { cause: error });
        }
      }
      await pause(wait);
    }
  };
}
