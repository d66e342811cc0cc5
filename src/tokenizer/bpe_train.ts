import { BPETokenizer, checkSpecialTokens } from "./bpe.ts";
import {
  BYTE_CHARACTERS,
  BYTE_ORDER,
  byteIds,
  mergePair,
  pairKey,
  splitSpecialTokens,
  splitWords,
} from "./byte_level.ts";

interface Word {
  ids: readonly number[];
  readonly count: number;
}

/** Two neighbouring tokens, how often they stand together, and the words to look into (some may have lost the pair). */
interface TokenPair {
  readonly left: number;
  readonly right: number;
  count: number;
  readonly words: Word[];
}

/** A pair with the count it had when it was queued. A pair's count only falls, so this is never too low. */
interface Candidate {
  readonly pair: TokenPair;
  readonly count: number;
}

/**
 * Trains a byte-level BPE tokenizer on `text` (Sennrich et al. 2016). Each merge takes the most frequent pair, or among
 * equally frequent ones the lexicographically greatest by bytes. Special tokens take the first ids and are left out of
 * the counts. The vocabulary stays smaller than `vocab_size` when the text has no pair left to merge.
 * @throws RangeError if `vocab_size` has no room for the 256 bytes and the special tokens.
 */
export function trainBPE(
  text: string,
  vocab_size: number,
  options: { special_tokens?: readonly string[] } = {},
): BPETokenizer {
  const special_tokens = options.special_tokens ?? [];
  checkSpecialTokens(special_tokens);
  const smallest = special_tokens.length + BYTE_ORDER.length;
  if (!Number.isInteger(vocab_size) || vocab_size < smallest) {
    throw new RangeError(
      `Cannot train a BPE tokenizer: expected vocab_size to be an integer from ${smallest} on ` +
        `(${special_tokens.length} special tokens and 256 bytes), got ${vocab_size}. Choose a larger vocab_size`,
    );
  }
  // Tokens are strings of one character a byte: comparing them compares bytes.
  const tokens = [...special_tokens, ...BYTE_ORDER.map((byte) => String.fromCharCode(byte))];
  const visible = (id: number): string =>
    Array.from(tokens[id]!, (byte) => BYTE_CHARACTERS[byte.charCodeAt(0)]!).join("");
  const pairs = countPairs(countWords(text, special_tokens));
  const queue = new Queue((a, b) => {
    if (a.count !== b.count) return a.count > b.count;
    const a_left = tokens[a.pair.left]!, b_left = tokens[b.pair.left]!;
    return a_left === b_left ? tokens[a.pair.right]! > tokens[b.pair.right]! : a_left > b_left;
  });
  for (const pair of pairs.values()) queue.push({ pair, count: pair.count });

  const merges: string[] = [];
  while (tokens.length < vocab_size) {
    const pair = mostFrequent(queue);
    if (!pair) break;
    const id = tokens.push(tokens[pair.left]! + tokens[pair.right]!) - 1;
    merges.push(`${visible(pair.left)} ${visible(pair.right)}`);
    for (const made of mergeEverywhere(pair, id, pairs)) queue.push({ pair: made, count: made.count });
  }
  return new BPETokenizer(merges, special_tokens);
}

function countWords(text: string, special_tokens: readonly string[]): Word[] {
  const counts = new Map<string, number>();
  splitSpecialTokens(text, special_tokens).forEach((part, position) => {
    if (position % 2 === 1) return;
    for (const word of splitWords(part)) counts.set(word, (counts.get(word) ?? 0) + 1);
  });
  return Array.from(counts, ([word, count]) => ({ ids: byteIds(word, special_tokens.length), count }));
}

function countPairs(words: readonly Word[]): Map<number, TokenPair> {
  const pairs = new Map<number, TokenPair>();
  for (const word of words) {
    for (let i = 1; i < word.ids.length; i++) {
      const pair = pairOf(pairs, word.ids[i - 1]!, word.ids[i]!);
      pair.count += word.count;
      pair.words.push(word);
    }
  }
  return pairs;
}

function pairOf(pairs: Map<number, TokenPair>, left: number, right: number): TokenPair {
  const key = pairKey(left, right);
  let pair = pairs.get(key);
  if (!pair) pairs.set(key, pair = { left, right, count: 0, words: [] });
  return pair;
}

/** The next pair to merge. A candidate whose count has fallen since it was queued goes back with its present count. */
function mostFrequent(queue: Queue): TokenPair | undefined {
  for (let best = queue.pop(); best; best = queue.pop()) {
    const { pair, count } = best;
    if (pair.count === count) return pair;
    if (pair.count > 0) queue.push({ pair, count: pair.count });
  }
  return undefined;
}

/**
 * Puts token `id` in the place of `merged` in all words, keeps the counts right, and returns the pairs that are new.
 */
function mergeEverywhere(merged: TokenPair, id: number, pairs: Map<number, TokenPair>): TokenPair[] {
  const made = new Set<TokenPair>();
  for (const word of merged.words) {
    const ids = mergePair(word.ids, merged.left, merged.right, id);
    if (ids === word.ids) continue;
    for (let i = 1; i < word.ids.length; i++) pairOf(pairs, word.ids[i - 1]!, word.ids[i]!).count -= word.count;
    for (let i = 1; i < ids.length; i++) {
      const pair = pairOf(pairs, ids[i - 1]!, ids[i]!);
      pair.count += word.count;
      if (pair.left !== id && pair.right !== id) continue;
      pair.words.push(word);
      made.add(pair);
    }
    word.ids = ids;
  }
  return [...made];
}

/** A binary heap: `pop` gives the candidate that goes before all others. */
class Queue {
  readonly #heap: Candidate[] = [];
  readonly #before: (a: Candidate, b: Candidate) => boolean;

  constructor(before: (a: Candidate, b: Candidate) => boolean) {
    this.#before = before;
  }

  push(candidate: Candidate): void {
    const heap = this.#heap;
    let at = heap.push(candidate) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(candidate, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = candidate;
  }

  pop(): Candidate | undefined {
    const heap = this.#heap, first = heap[0], last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && this.#before(heap[child + 1]!, heap[child]!)) child++;
      if (!this.#before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}
