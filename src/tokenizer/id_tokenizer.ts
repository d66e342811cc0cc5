import {
  checkId,
  type EncodedPair,
  type EncodedSpans,
  joinPair,
  type SpecialTokens,
  type Tokenizer,
} from "./tokenizer.ts";

/** The tokenizer of models that come without one: a text is its token ids, as decimal numbers between spaces. */
export class IdTokenizer implements Tokenizer {
  readonly vocab_size: number;
  /** Ids with a meaning of their own. */
  readonly special: SpecialTokens = {};
  readonly chat_template: undefined = undefined;

  /** Takes ids below vocab_size. */
  constructor(vocab_size: number) {
    this.vocab_size = vocab_size;
  }

  /** Reads ids. Throws RangeError at a word that is no id of the vocabulary. */
  encode(text: string): Uint32Array<ArrayBuffer> {
    return Uint32Array.from(text.split(/\s+/).filter(Boolean), (word) => {
      const id = /^\d+$/.test(word) ? Number(word) : NaN;
      if (id < this.vocab_size) return id;
      throw new RangeError(
        `Cannot encode "${word.slice(0, 40)}": the model has no tokenizer, so expected ids from 0 to ${
          this.vocab_size - 1
        }. Give the folder of its tokenizer as --tokenizer`,
      );
    });
  }

  encodePair(first: string, second: string): EncodedPair {
    return joinPair(this.encode(first), this.encode(second));
  }

  encodeSpans(): EncodedSpans {
    throw new RangeError(
      "Cannot encode a conversation: the model has no tokenizer. Give the folder of its tokenizer as --tokenizer",
    );
  }

  decode(ids: ArrayLike<number>): string {
    return Array.from(ids, (id) => (checkId(id, this.vocab_size), String(id))).join(" ");
  }

  token(id: number): string | undefined {
    return id < this.vocab_size ? String(id) : undefined;
  }

  /** The id of a token's exact text, if there is one. */
  token_id(token: string): number | undefined {
    return /^\d+$/.test(token) && Number(token) < this.vocab_size ? Number(token) : undefined;
  }

  files(): ReadonlyMap<string, string> {
    return new Map();
  }

  toJSON(): object {
    return {};
  }
}
