import {
  BYTE_CHARACTERS,
  BYTE_ORDER,
  byteIds,
  mergePair,
  pairKey,
  splitSpecialTokens,
  splitWords,
} from "./byte_level.ts";
import { byteLevelJSON } from "./byte_level_json.ts";
import {
  checkId,
  decodeUTF8,
  type EncodedPair,
  type EncodedSpans,
  joinPair,
  maskOfBytes,
  ownFiles,
  type Span,
  type SpecialTokens,
  type Tokenizer,
} from "./tokenizer.ts";

/** Size of the cache of words with their ids. It is emptied when full, because rare words never end. */
const REMEMBERED_WORDS = 65536;

interface Merge {
  readonly left: number;
  readonly right: number;
  /** Ids of merges grow with their rank, so the smallest is the one to apply first. */
  readonly id: number;
}

/**
 * Byte-level byte-pair encoding (Sennrich et al. 2016, on bytes as in GPT-2). Ids: the special tokens, the 256 bytes in
 * GPT-2's order, then one token for each merge.
 */
export class BPETokenizer implements Tokenizer {
  readonly vocab_size: number;
  /** Tokens by id: special tokens as they are, the others in GPT-2's visible form ("Ġthe"). */
  readonly tokens: readonly string[];
  /** Pairs of tokens in visible form with a space between, in the order of their rank: the lines of a merges.txt. */
  readonly merges: readonly string[];
  /** Texts that are one token wherever they stand; their ids are their positions here. */
  readonly special_tokens: readonly string[];
  /** Ids with a meaning of their own. */
  readonly special: SpecialTokens = {};
  readonly chat_template: undefined = undefined;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #bytes: readonly Uint8Array[];
  readonly #merges: ReadonlyMap<number, Merge>;
  readonly #remembered: Map<string, readonly number[]> = new Map();

  /**
   * Throws RangeError at a merge of tokens that no earlier merge has made, and at an empty or repeated special token.
   */
  constructor(merges: readonly string[], special_tokens: readonly string[] = []) {
    checkSpecialTokens(special_tokens);
    const base = special_tokens.length;
    const ids = new Map(BYTE_ORDER.map((byte, index) => [BYTE_CHARACTERS[byte]!, base + index]));
    const rules = new Map<number, Merge>();
    merges.forEach((line, rank) => {
      const [left_token = "", right_token = "", ...rest] = line.split(" ");
      const left = ids.get(left_token), right = ids.get(right_token), token = left_token + right_token;
      if (left === undefined || right === undefined || rest.length > 0 || ids.has(token)) {
        throw new RangeError(
          `Cannot use BPE merge ${rank}: expected two known tokens with a space between that give a new one, got ` +
            `"${line}". ` +
            "Pass the lines of merges.txt in their order, without the version line",
        );
      }
      rules.set(pairKey(left, right), { left, right, id: base + ids.size });
      ids.set(token, base + ids.size);
    });
    this.vocab_size = base + ids.size;
    this.tokens = [...special_tokens, ...ids.keys()];
    this.merges = [...merges];
    this.special_tokens = [...special_tokens];
    this.#ids = new Map(this.tokens.map((token, id) => [token, id]));
    if (this.#ids.size < this.vocab_size) {
      throw new RangeError(
        `Cannot use the special tokens ${
          describe(special_tokens)
        }: one of them is also a token of the text. Choose others, such as "<|endoftext|>"`,
      );
    }
    this.#merges = rules;
    const byte_of = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));
    this.#bytes = this.tokens.map((token, id) =>
      id < base ? new TextEncoder().encode(token) : Uint8Array.from(token, (character) => byte_of.get(character)!)
    );
  }

  /** Ids of `text`. A special token in it becomes its own id. */
  encode(text: string): Uint32Array<ArrayBuffer> {
    const ids: number[] = [];
    splitSpecialTokens(text, this.special_tokens).forEach((part, position) => {
      if (position % 2 === 1) ids.push(this.special_tokens.indexOf(part));
      else for (const word of splitWords(part)) for (const id of this.#encodeWord(word)) ids.push(id);
    });
    return Uint32Array.from(ids);
  }

  encodePair(first: string, second: string): EncodedPair {
    return joinPair(this.encode(first), this.encode(second));
  }

  encodeSpans(text: string, spans: readonly Span[]): EncodedSpans {
    const input_ids = this.encode(text);
    return { input_ids, mask: maskOfBytes(text, spans, input_ids.map((id) => this.#bytes[id]!.length)) };
  }

  decode(ids: ArrayLike<number>, { skip_special_tokens = false }: { skip_special_tokens?: boolean } = {}): string {
    const bytes: number[] = [];
    for (let i = 0; i < ids.length; i++) {
      checkId(ids[i]!, this.vocab_size);
      if (skip_special_tokens && ids[i]! < this.special_tokens.length) continue;
      for (const byte of this.#bytes[ids[i]!]!) bytes.push(byte);
    }
    return decodeUTF8(Uint8Array.from(bytes));
  }

  token(id: number): string | undefined {
    return this.tokens[id];
  }

  /** The id of a token's exact text, if there is one. */
  token_id(token: string): number | undefined {
    return this.#ids.get(token);
  }

  files(): ReadonlyMap<string, string> {
    return ownFiles(this);
  }

  toJSON(): object {
    return byteLevelJSON(this.tokens, this.merges, this.special_tokens.length);
  }

  #encodeWord(word: string): readonly number[] {
    const known = this.#remembered.get(word);
    if (known) return known;
    let ids: readonly number[] = byteIds(word, this.special_tokens.length);
    for (let merge = this.#firstMerge(ids); merge; merge = this.#firstMerge(ids)) {
      ids = mergePair(ids, merge.left, merge.right, merge.id);
    }
    if (this.#remembered.size >= REMEMBERED_WORDS) this.#remembered.clear();
    this.#remembered.set(word, ids);
    return ids;
  }

  #firstMerge(ids: readonly number[]): Merge | undefined {
    let first: Merge | undefined;
    for (let i = 1; i < ids.length; i++) {
      const merge = this.#merges.get(pairKey(ids[i - 1]!, ids[i]!));
      if (merge && (!first || merge.id < first.id)) first = merge;
    }
    return first;
  }
}

/** Throws RangeError unless every special token has some text, and no two the same. */
export function checkSpecialTokens(special_tokens: readonly string[]): void {
  if (special_tokens.includes("") || new Set(special_tokens).size !== special_tokens.length) {
    throw new RangeError(
      `Cannot use the special tokens: expected distinct texts, got ${
        describe(special_tokens)
      }. Remove the empty or repeated ones`,
    );
  }
}

function describe(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
