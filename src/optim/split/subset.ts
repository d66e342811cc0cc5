import { uniform } from "../../random/philox.ts";

/**
 * `count` different integers below `total` in random order: the first `count` places of a shuffle (Fisher-Yates in
 * Durstenfeld's form), each subset and each order equally likely up to 2^-53. A pure function of its arguments:
 * `purpose` names the matrix, `drawn` counts the draws for it, and nothing of the generator has to be stored.
 * @throws {RangeError} if there are not that many.
 */
export function randomOrder(
  total: number,
  count: number,
  seed: number,
  purpose: string,
  drawn: number,
): Uint32Array<ArrayBuffer> {
  if (!(count >= 0 && count <= total)) throw new RangeError(`Cannot draw ${count} of ${total}: expected 0 to ${total}`);
  const places = Uint32Array.from({ length: total }, (_, i) => i);
  for (let i = 0; i < count; i++) {
    const other = i + Math.floor(uniform(seed, purpose, drawn, i) * (total - i));
    [places[i], places[other]] = [places[other]!, places[i]!];
  }
  return places.slice(0, count);
}

/**
 * The integers of randomOrder() in ascending order: a uniformly random subset. Time and memory grow with `total`.
 * @throws {RangeError} if there are not that many.
 */
export function randomSubset(
  total: number,
  count: number,
  seed: number,
  purpose: string,
  drawn: number,
): Uint32Array<ArrayBuffer> {
  const selected = new Uint8Array(total);
  for (const index of randomOrder(total, count, seed, purpose, drawn)) selected[index] = 1;
  const indices = new Uint32Array(count);
  for (let i = 0, slot = 0; slot < count; i++) if (selected[i]) indices[slot++] = i;
  return indices;
}

/** Positions that one word of a packed selection describes. */
export const POSITIONS_PER_WORD = 16;

/**
 * A selection among `total` positions as one u32 for each 16 of them: the low half has a bit for each that is selected,
 * the high half counts those selected before the word. So a kernel finds the place of a selected position i among the
 * selected ones by slot = (word >> 16) + countOneBits(word & ((1 << (i & 15)) - 1)), without the list.
 * @param indices ascending, below `total`.
 * @throws {RangeError} if more than 65 535 are selected before a word.
 */
export function packSelection(indices: Uint32Array, total: number): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(total / POSITIONS_PER_WORD));
  let slot = 0;
  for (let word = 0; word < words.length; word++) {
    if (slot > 0xffff) {
      throw new RangeError(
        `Cannot pack ${indices.length} of ${total} positions: expected at most 65535 before the last word. Select ` +
          "fewer",
      );
    }
    const first = word * POSITIONS_PER_WORD;
    let packed = slot << 16;
    for (; slot < indices.length && indices[slot]! < first + POSITIONS_PER_WORD; slot++) {
      packed |= 1 << (indices[slot]! - first);
    }
    words[word] = packed;
  }
  return words;
}
