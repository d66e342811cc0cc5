import { createSha256 } from "../sha256.ts";
import { type HubCache, readCachedJson } from "./hub_cache.ts";
import { HubUnreachableError, type Pause, WAITS } from "./hub_fetch.ts";
import type { ByteSource } from "./source.ts";

/** A file of one commit, as the hub lists it. */
export interface HubEntry {
  readonly size: number;
  /** Hash of its bytes; the hub has it for large files. */
  readonly sha256?: string;
}

export interface HubPlace {
  /** Name for messages. */
  readonly name: string;
  readonly cache: HubCache;
  /** Names in the cache: of the bytes, and of the record of the pieces that are there. */
  readonly bytes: string;
  readonly record: string;
  /**
   * Requests the bytes from `start` up to, not including, `end`. @throws for an answer other than 200 and 206.
   */
  request(start: number, end: number): Promise<Response>;
  readonly pause: Pause;
}

/** Bytes that are requested, kept and resumed at once. Large enough that the round trips do not count. */
export const HUB_PIECE_BYTES = 8 << 20;

/** Error of an answer whose body ended early. Another attempt may cure it. */
class InterruptedError extends Error {}

/**
 * A file of the hub. Reads fetch whole pieces, each once: from then on it is in the cache, in this process and in later
 * ones. The read that brings the last missing piece also checks the whole against its hash.
 */
export async function hubFile({ size, sha256 }: HubEntry, place: HubPlace): Promise<ByteSource> {
  const { name, cache, bytes } = place, count = Math.ceil(size / HUB_PIECE_BYTES);
  let { pieces, checked } = await readRecord(place, size, count);
  const writeRecord = (): Promise<void> =>
    cache.replace(place.record, JSON.stringify({ size, pieces: pieces.join(""), checked }));

  async function forget(): Promise<void> {
    pieces = Array(count).fill(0), checked = false;
    await cache.remove(place.record);
    await cache.remove(bytes);
  }
  async function keep(piece: number, data: Uint8Array<ArrayBuffer>): Promise<void> {
    await cache.write(bytes, piece * HUB_PIECE_BYTES, data);
    pieces[piece] = 1;
    await writeRecord();
  }
  /** Fetches the pieces from `first` up to, not including, `last`, in one request. */
  async function fetchPieces(first: number, last: number): Promise<void> {
    const start = first * HUB_PIECE_BYTES, end = Math.min(last * HUB_PIECE_BYTES, size);
    const response = await place.request(start, end);
    // A server that knows no ranges sends the whole file, which is taken whole, once.
    const whole = response.status === 200;
    const range = whole ? null : response.headers.get("Content-Range");
    if (range !== null && range !== `bytes ${start}-${end - 1}/${size}`) {
      await response.body?.cancel();
      throw new RangeError(
        `Cannot read ${name}: expected bytes ${start}-${
          end - 1
        } of ${size}, the hub sent ${range}. Start again, it may have changed`,
      );
    }
    await takeBody(
      name,
      response,
      whole ? 0 : start,
      whole ? size : end,
      (at, data) => keep(at / HUB_PIECE_BYTES, data),
    );
  }
  async function fill(first: number, last: number): Promise<void> {
    for (let attempt = 0;;) {
      const from = pieces.indexOf(0, first);
      if (from < 0 || from >= last) break;
      const to = pieces.indexOf(1, from), before = pieces.join("");
      try {
        await fetchPieces(from, to < 0 ? last : Math.min(to, last));
      } catch (error) {
        if (!(error instanceof InterruptedError)) throw error;
        if (pieces.join("") !== before) attempt = 0;
        const wait = WAITS[attempt++];
        if (wait === undefined) {
          throw new HubUnreachableError(`Cannot read ${name}: ${error.message}. Start again, it goes on from there`, {
            cause: error,
          });
        }
        await place.pause(wait);
      }
    }
    if (!pieces.includes(0)) await check();
  }
  async function check(): Promise<void> {
    if (checked) return;
    if (sha256 !== undefined && await hashOf(cache, bytes, size) !== sha256) {
      await forget();
      throw new RangeError(
        `Cannot read ${name}: its bytes do not have the sha256 that the hub gives. What was kept of it is removed: ` +
          "start again",
      );
    }
    checked = true;
    await writeRecord();
  }
  let turn = Promise.resolve();
  return {
    name,
    size,
    async read(start, end) {
      if (!(0 <= start && start <= end && end <= size)) {
        throw new RangeError(`Cannot read bytes ${start} to ${end} of ${name}: it has ${size}`);
      }
      if (start === end) return new Uint8Array(0);
      if (!checked) {
        // Reads take turns, so that no piece is fetched twice. One that fails does not hold up the next.
        const filled = turn.then(() => fill(Math.floor(start / HUB_PIECE_BYTES), Math.ceil(end / HUB_PIECE_BYTES)));
        turn = filled.catch(() => {});
        await filled;
      }
      return await cache.read(bytes, start, end);
    },
  };
}

/** The pieces that an earlier process has left, as far as the file bears it out. */
async function readRecord(
  { cache, record, bytes }: HubPlace,
  size: number,
  count: number,
): Promise<{ pieces: number[]; checked: boolean }> {
  const found = await readCachedJson(cache, record), text = String(found?.["pieces"] ?? "");
  const there = Math.min(size, (text.lastIndexOf("1") + 1) * HUB_PIECE_BYTES), kept = await cache.size(bytes) ?? 0;
  const isTrue = found?.["size"] === size && text.length === count && /^[01]*$/.test(text) && kept >= there &&
    kept <= size;
  const pieces = Array.from({ length: count }, (_, i) => isTrue ? Number(text[i]) : 0);
  return { pieces, checked: isTrue && found["checked"] === true && !pieces.includes(0) };
}

/** Gives the body's bytes to `keep` a piece at a time. The last piece is shorter only at the end of the file. */
async function takeBody(
  name: string,
  response: Response,
  start: number,
  end: number,
  keep: (at: number, data: Uint8Array<ArrayBuffer>) => Promise<void>,
): Promise<void> {
  const reader = (response.body ?? new Blob().stream()).getReader();
  let at = start, piece = new Uint8Array(Math.min(HUB_PIECE_BYTES, end - start)), filled = 0;
  try {
    while (true) {
      const { done, value } = await reader.read().catch((error) => {
        throw new InterruptedError(
          `the hub broke off after ${at + filled - start} of ${end - start} bytes (${(error as Error).message})`,
        );
      });
      if (done) break;
      if (at + filled + value.length > end) {
        throw new RangeError(
          `Cannot read ${name}: the hub sends more than the ${
            end - start
          } bytes expected. Start again, it may have changed`,
        );
      }
      for (let from = 0; from < value.length;) {
        const part = value.subarray(from, from + piece.length - filled);
        piece.set(part, filled);
        filled += part.length, from += part.length;
        if (filled < piece.length) continue;
        await keep(at, piece);
        at += filled, filled = 0;
        piece = piece.subarray(0, Math.min(HUB_PIECE_BYTES, end - at));
      }
    }
  } finally {
    await reader.cancel().catch(() => {}); // it may have broken off already
  }
  if (at < end) throw new InterruptedError(`the hub ended after ${at + filled - start} of ${end - start} bytes`);
}

async function hashOf(cache: HubCache, name: string, size: number): Promise<string> {
  const hash = createSha256();
  for (let at = 0; at < size; at += HUB_PIECE_BYTES) {
    hash.update(await cache.read(name, at, Math.min(at + HUB_PIECE_BYTES, size)));
  }
  return hash.hex();
}
