/** Turns text into token ids and back: `decode(encode(text)) === text` for every well-formed string. */
export interface Tokenizer {
  /** Ids run from 0 to `vocab_size - 1`. */
  readonly vocab_size: number;
  /** Ids of `text`. A lone surrogate, which no UTF-8 can hold, becomes U+FFFD. */
  encode(text: string): Uint32Array<ArrayBuffer>;
  /** Text of `ids`. UTF-8 that is cut short or malformed becomes U+FFFD. Throws RangeError at an id outside the vocabulary. */
  decode(ids: ArrayLike<number>): string;
  /** What `tokenizerFromJSON` restores the same tokenizer from. */
  toJSON(): object;
}

/** The plainest vocabulary: one id for each of the 256 byte values of UTF-8. */
export class ByteTokenizer implements Tokenizer {
  readonly vocab_size = 256;

  encode(text: string): Uint32Array<ArrayBuffer> {
    return Uint32Array.from(new TextEncoder().encode(text));
  }

  decode(ids: ArrayLike<number>): string {
    const bytes = new Uint8Array(ids.length);
    for (let i = 0; i < ids.length; i++) {
      checkId(ids[i]!, this.vocab_size);
      bytes[i] = ids[i]!;
    }
    return decodeUTF8(bytes);
  }

  toJSON(): { type: "byte" } {
    return { type: "byte" };
  }
}

/** Text of UTF-8 bytes. Keeps a leading byte order mark, which is part of an exact round trip. */
export function decodeUTF8(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/** Throws RangeError unless `id` is a token of a vocabulary of `vocab_size`. */
export function checkId(id: number, vocab_size: number): void {
  if (!Number.isInteger(id) || id < 0 || id >= vocab_size) {
    throw new RangeError(
      `Cannot decode token id ${id}: expected an integer from 0 to ${vocab_size - 1}. Use the tokenizer that made the ids`,
    );
  }
}
