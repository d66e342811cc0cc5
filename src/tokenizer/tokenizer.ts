import { BYTE_CHARACTERS } from "./byte_level.ts";
import { byteLevelJSON, OWN_CONFIG } from "./byte_level_json.ts";

/** Roles that a model gives to tokens, as in tokenizer_config.json without "_token". */
export const SPECIAL_ROLES = ["bos", "eos", "pad", "unk", "cls", "sep", "mask"] as const;

/** Ids of the tokens that have a role. */
export type SpecialTokens = Readonly<Partial<Record<typeof SPECIAL_ROLES[number], number>>>;

/** A part of a text, in UTF-16 code units: from `start` to before `end`. */
export interface Span {
  /** The first character, in UTF-16 units. */
  readonly start: number;
  /** The place behind the last character. */
  readonly end: number;
}

/** The ids of a pair of texts, and the number of the text that each token belongs to (BERT's token types). */
export interface EncodedPair {
  /** Token ids in the order of the text. */
  readonly input_ids: Uint32Array<ArrayBuffer>;
  /** The segment of each token: 0 for the first text, 1 for the second. */
  readonly token_type_ids: Uint32Array<ArrayBuffer>;
}

/** The ids of a text, and 1 for each token with a part in the marked spans. */
export interface EncodedSpans {
  /** Token ids in the order of the text. */
  readonly input_ids: Uint32Array<ArrayBuffer>;
  /** 1 at each token that counts. */
  readonly mask: Uint8Array<ArrayBuffer>;
}

/** Turns text into token ids and back. */
export interface Tokenizer {
  /** Bound of the ids, which run from 0 to `vocab_size - 1`. */
  readonly vocab_size: number;
  /** Ids with a meaning of their own. */
  readonly special: SpecialTokens;
  /** The Jinja template that makes a conversation one text, if the tokenizer came with one. */
  readonly chat_template: string | undefined;
  /**
   * Ids of `text`. A special token in it becomes its own id; `add_special_tokens` adds those that the model expects
   * around a text (`<s>`). A lone surrogate, which no UTF-8 can hold, becomes U+FFFD.
   */
  encode(text: string, options?: { add_special_tokens?: boolean }): Uint32Array<ArrayBuffer>;
  /** Ids of two texts with the special tokens that the model expects around and between them. */
  encodePair(first: string, second: string): EncodedPair;
  /**
   * Ids of `text` without added special tokens, and a mask of those with a part in `spans` (ascending, apart from each
   * other). Throws RangeError if the tokenizer changes the text so that nobody can say.
   */
  encodeSpans(text: string, spans: readonly Span[]): EncodedSpans;
  /**
   * Text of `ids`. UTF-8 that is cut short or malformed becomes U+FFFD. Throws RangeError at an id outside the
   * vocabulary.
   */
  decode(ids: ArrayLike<number>, options?: { skip_special_tokens?: boolean }): string;
  /** The token with this id, as tokenizer.json writes it ("Ġthe"). */
  token(id: number): string | undefined;
  /** The id of a token's exact text, if there is one. */
  token_id(token: string): number | undefined;
  /**
   * Texts of the files that `loadTokenizer` restores the same tokenizer from, by name, to be written beside a model.
   */
  files(): ReadonlyMap<string, string>;
  /** The content of tokenizer.json, in the form of Hugging Face's `tokenizers`. */
  toJSON(): object;
}

/** The plainest vocabulary: one id for each of the 256 byte values of UTF-8. */
export class ByteTokenizer implements Tokenizer {
  readonly vocab_size = 256;
  /** Ids with a meaning of their own. */
  readonly special: SpecialTokens = {};
  readonly chat_template: undefined = undefined;

  encode(text: string): Uint32Array<ArrayBuffer> {
    return Uint32Array.from(new TextEncoder().encode(text));
  }

  encodePair(first: string, second: string): EncodedPair {
    return joinPair(this.encode(first), this.encode(second));
  }

  encodeSpans(text: string, spans: readonly Span[]): EncodedSpans {
    const input_ids = this.encode(text);
    return { input_ids, mask: maskOfBytes(text, spans, new Uint32Array(input_ids.length).fill(1)) };
  }

  decode(ids: ArrayLike<number>): string {
    const bytes = new Uint8Array(ids.length);
    for (let i = 0; i < ids.length; i++) {
      checkId(ids[i]!, this.vocab_size);
      bytes[i] = ids[i]!;
    }
    return decodeUTF8(bytes);
  }

  token(id: number): string | undefined {
    return BYTE_CHARACTERS[id];
  }

  /** The id of a token's exact text, if there is one. */
  token_id(token: string): number | undefined {
    const id = BYTE_CHARACTERS.indexOf(token);
    return id < 0 ? undefined : id;
  }

  files(): ReadonlyMap<string, string> {
    return ownFiles(this);
  }

  toJSON(): object {
    return byteLevelJSON(BYTE_CHARACTERS, [], 0);
  }
}

/** The files of a tokenizer that was made here, which has no roles and no template. */
export function ownFiles(tokenizer: Tokenizer): ReadonlyMap<string, string> {
  return new Map(
    [["tokenizer.json", tokenizer], ["tokenizer_config.json", OWN_CONFIG]].map((
      [name, value],
    ) => [name as string, `${JSON.stringify(value, null, 2)}\n`]),
  );
}

/** A pair whose model expects nothing around it: one text after the other. */
export function joinPair(first: ArrayLike<number>, second: ArrayLike<number>): EncodedPair {
  const input_ids = Uint32Array.from([...Array.from(first), ...Array.from(second)]);
  return { input_ids, token_type_ids: input_ids.map((_, place) => place < first.length ? 0 : 1) };
}

const encoder = new TextEncoder();

/** Length of `text` in UTF-8; a lone surrogate counts as U+FFFD. */
export function byteLength(text: string): number {
  return encoder.encode(text).length;
}

/**
 * A mask with 1 for each token with a byte in `spans` of `text`. Tokens stand for `lengths` bytes of its UTF-8, one
 * after the other.
 */
export function maskOfBytes(text: string, spans: readonly Span[], lengths: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const mask = new Uint8Array(lengths.length);
  let token = 0, token_end = lengths[0] ?? 0;
  let place = 0, bytes = 0;
  const advance = (to: number): number => {
    bytes += byteLength(text.slice(place, to));
    place = to;
    return bytes;
  };
  for (const { start, end } of spans) {
    const first = advance(start), last = advance(end);
    while (token < lengths.length && token_end <= first) token_end += lengths[++token] ?? 0;
    while (token < lengths.length && token_end - lengths[token]! < last) {
      // A token of no bytes stands between two characters and is part of neither.
      if (first < last && lengths[token]! > 0) mask[token] = 1;
      if (token_end > last) break; // it may have a part of the next span too
      token_end += lengths[++token] ?? 0;
    }
  }
  return mask;
}

/** Text of UTF-8 bytes, with a leading byte order mark, which is part of an exact round trip. */
export function decodeUTF8(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/** Throws RangeError unless `id` is a token of a vocabulary of `vocab_size`. */
export function checkId(id: number, vocab_size: number): void {
  if (!Number.isInteger(id) || id < 0 || id >= vocab_size) {
    throw new RangeError(
      `Cannot decode token id ${id}: expected an integer from 0 to ${
        vocab_size - 1
      }. Use the tokenizer that made the ids`,
    );
  }
}

/**
 * Throws RangeError if the tokenizer has ids that a model with `vocab_size` rows of embeddings lacks. Fewer ids are
 * fine: models pad theirs.
 */
export function checkVocabulary(tokenizer: Tokenizer, vocab_size: number): void {
  const largest = tokenizer.vocab_size - 1;
  if (largest < vocab_size) return;
  throw new RangeError(
    `Cannot use this tokenizer with this model: its largest id is ${largest} (${
      JSON.stringify(tokenizer.token(largest))
    }), the model's vocabulary ends at ${vocab_size - 1}. ` +
      "Use the tokenizer that came with the model",
  );
}
