/** Parts that the training and the use of a byte-level BPE tokenizer share: words, bytes and the merge of one pair. */

/**
 * GPT-2's pre-tokenisation (Radford et al. 2019): contractions, then letters, digits or other signs, each with at most
 * one space before them, then white space. It is `\p{White_Space}` and not `\s`, which in JavaScript has U+FEFF and
 * lacks U+0085.
 */
const WORD = new RegExp(
  [
    /'(?:[sdmt]|ll|ve|re)/u,
    / ?\p{L}+/u,
    / ?\p{N}+/u,
    / ?[^\p{White_Space}\p{L}\p{N}]+/u,
    /\p{White_Space}+(?!\P{White_Space})/u,
    /\p{White_Space}+/u,
  ].map(({ source }) => source).join("|"),
  "gu",
);

const BYTES: readonly number[] = Array.from({ length: 256 }, (_, byte) => byte);
const isPrintable = (byte: number): boolean => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
const PRINTABLE_BYTES = BYTES.filter(isPrintable);

/** The 256 bytes in the order of GPT-2's vocabulary: those that Latin-1 can print first. */
export const BYTE_ORDER: readonly number[] = [...PRINTABLE_BYTES, ...BYTES.filter((byte) => !isPrintable(byte))];

/** Position of each byte in BYTE_ORDER. */
const BYTE_INDEX: readonly number[] = BYTES.map((byte) => BYTE_ORDER.indexOf(byte));

/**
 * GPT-2's visible character of each byte: itself if printable, else the next one from U+0100 on (a space is "Ġ").
 */
export const BYTE_CHARACTERS: readonly string[] = BYTES.map((byte) =>
  String.fromCharCode(isPrintable(byte) ? byte : 0x100 + BYTE_INDEX[byte]! - PRINTABLE_BYTES.length)
);

/** The words of `text`. None of them crosses a boundary that a merge may not cross; together they are the text. */
export function* splitWords(text: string): Generator<string> {
  for (const [word] of text.matchAll(WORD)) yield word;
}

/**
 * Parts of `text` between special tokens at even positions, the special tokens at odd ones. If two match, the longer
 * one counts.
 */
export function splitSpecialTokens(text: string, special_tokens: readonly string[]): string[] {
  if (special_tokens.length === 0) return [text];
  const longest_first = [...special_tokens].sort((a, b) => b.length - a.length);
  return text.split(
    new RegExp(`(${longest_first.map((token) => token.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|")})`),
  );
}

const encoder = new TextEncoder();

/** Ids of a word's UTF-8 bytes in a vocabulary whose bytes start at `first_id`. */
export function byteIds(word: string, first_id: number): number[] {
  return Array.from(encoder.encode(word), (byte) => first_id + BYTE_INDEX[byte]!);
}

/** A word's UTF-8 bytes as GPT-2's visible characters. */
export function visibleBytes(word: string): string {
  return Array.from(encoder.encode(word), (byte) => BYTE_CHARACTERS[byte]!).join("");
}

/**
 * `ids` with `id` in the place of each `left` followed by `right`, from the start on; the same array if there is none.
 */
export function mergePair(ids: readonly number[], left: number, right: number, id: number): readonly number[] {
  const merged: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] === left && ids[i + 1] === right) {
      merged.push(id);
      i++;
    } else merged.push(ids[i]!);
  }
  return merged.length === ids.length ? ids : merged;
}

/** One number for an ordered pair of ids, exact while ids stay below 2^26. */
export function pairKey(left: number, right: number): number {
  return left * 0x400_0000 + right;
}
