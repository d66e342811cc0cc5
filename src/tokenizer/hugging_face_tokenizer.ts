import { type AddedToken, addedTokenOf, compileSections, type Section } from "./hugging_face/added_tokens.ts";
import { visibleBytes } from "./byte_level.ts";
import { cleanUp, compileDecoder, fallbackByte } from "./hugging_face/decoder.ts";
import { descriptionsOf } from "./hugging_face/description.ts";
import { compileModel, type TokenizerModel } from "./hugging_face/tokenizer_model.ts";
import { compileNormalizer } from "./hugging_face/normalizer.ts";
import { compilePostProcessor, type PostProcessor } from "./hugging_face/post_processor.ts";
import { compilePreTokenizer, type PreTokenizer } from "./hugging_face/pre_tokenizer.ts";
import {
  byteLength,
  checkId,
  type EncodedPair,
  type EncodedSpans,
  maskOfBytes,
  type Span,
  type SpecialTokens,
  type Tokenizer,
} from "./tokenizer.ts";
import { readObject, readTokenizerConfig, type TokenizerConfig, type TokenizerFiles } from "./tokenizer_config.ts";

/**
 * The tokenizer that a Hugging Face tokenizer.json describes, with exactly the ids of their `tokenizers`: its
 * components in their order (added tokens, normalizer, added tokens, pre-tokenizer, model, post-processor). The models
 * and the translation of regular expressions are from @huggingface/tokenizers, the rest is done here because that
 * library differs from the reference.
 */
export class HuggingFaceTokenizer implements Tokenizer {
  readonly vocab_size: number;
  /** Ids with a meaning of their own. */
  readonly special: SpecialTokens;
  readonly chat_template: string | undefined;
  readonly #files: TokenizerFiles;
  readonly #config: TokenizerConfig;
  readonly #model: TokenizerModel;
  readonly #normalize: ((text: string) => string) | null;
  readonly #pre_tokenizer: PreTokenizer;
  readonly #post_process: PostProcessor;
  readonly #join: (tokens: readonly string[]) => string;
  readonly #added: ReadonlyMap<string, AddedToken>;
  readonly #tokens: readonly (string | undefined)[];
  /** Added tokens that come back as they stand in a normalized text ("▁word"), by id. */
  readonly #decoded_as: ReadonlyMap<number, string>;
  readonly #special_ids: ReadonlySet<number>;
  /** Sections of the original text, and of a normalized one. */
  readonly #sections: (text: string) => Section[];
  readonly #normalized_sections: (text: string) => Section[];

  /**
   * Compiles the components.
   * @param files tokenizer.json and the files beside it (`loadTokenizer`).
   * @throws RangeError at a component that is not supported, with its name; TypeError if the files are damaged.
   */
  constructor(files: TokenizerFiles) {
    const json = readObject(files, "tokenizer.json");
    this.#files = files;
    this.#config = readTokenizerConfig(files);
    const normalize = this.#normalize = compileNormalizer(json["normalizer"]);
    this.#pre_tokenizer = compilePreTokenizer(json["pre_tokenizer"]);
    this.#model = compileModel(json["model"], this.#pre_tokenizer.byte_level ? visibleBytes : (word) => word);
    this.#post_process = compilePostProcessor(json["post_processor"]);
    this.#join = compileDecoder(json["decoder"]);
    this.#added = addedTokens(
      descriptionsOf(json["added_tokens"] ?? [], "added_tokens").map((token) => addedTokenOf(token)),
      this.#config,
      this.#model,
    );
    const added = [...this.#added.values()];
    this.#sections = compileSections(
      added.filter((token) => !token.normalized).map((token) => ({ ...token, found_as: token.content })),
    );
    const normalized = added.filter((token) => token.normalized).map((token) => ({
      ...token,
      found_as: normalize?.(token.content) ?? token.content,
    }));
    this.#normalized_sections = compileSections(normalized.filter(({ found_as }) => found_as !== ""));
    this.#decoded_as = new Map(normalized.map(({ id, found_as }) => [id, found_as]));
    const tokens: string[] = [];
    for (const [token, id] of this.#model.ids) tokens[id] = token;
    for (const { content, id } of added) tokens[id] = content;
    this.#tokens = tokens;
    this.vocab_size = tokens.length;
    this.#special_ids = new Set(added.filter(({ special }) => special).map(({ id }) => id));
    this.chat_template = this.#config.chat_template;
    const named = Object.entries(this.#config.roles).map(([role, token]) => [role, this.token_id(token)]).filter((
      [, id],
    ) => id !== undefined);
    this.special = { ...this.#config.generation, ...Object.fromEntries(named) };
  }

  encode(
    text: string,
    { add_special_tokens = false }: { add_special_tokens?: boolean } = {},
  ): Uint32Array<ArrayBuffer> {
    const ids = this.#encode(text);
    return Uint32Array.from(add_special_tokens ? this.#post_process(ids, null).ids : ids);
  }

  encodePair(first: string, second: string): EncodedPair {
    // Transformers takes an empty second text for none.
    const { ids, types } = this.#post_process(this.#encode(first), second === "" ? null : this.#encode(second));
    return { input_ids: Uint32Array.from(ids), token_type_ids: Uint32Array.from(types) };
  }

  encodeSpans(text: string, spans: readonly Span[]): EncodedSpans {
    text = text.toWellFormed();
    const ids: number[] = [], mask: number[] = [];
    for (const section of this.#sections(text)) {
      const here = spans.map(({ start, end }) => ({
        start: Math.max(start, section.start) - section.start,
        end: Math.min(end, section.end) - section.start,
      }))
        .filter(({ start, end }) => start < end);
      if (section.id !== undefined) ids.push(section.id), mask.push(here.length > 0 ? 1 : 0);
      else this.#markSection(text.slice(section.start, section.end), here, section.start === 0, ids, mask);
    }
    return { input_ids: Uint32Array.from(ids), mask: Uint8Array.from(mask) };
  }

  decode(ids: ArrayLike<number>, { skip_special_tokens = false }: { skip_special_tokens?: boolean } = {}): string {
    const tokens: string[] = [];
    for (let i = 0; i < ids.length; i++) {
      checkId(ids[i]!, this.vocab_size);
      // An id that the file leaves out is no text, as in the reference.
      const token = this.#decoded_as.get(ids[i]!) ?? this.#tokens[ids[i]!];
      if (token !== undefined && !(skip_special_tokens && this.#special_ids.has(ids[i]!))) tokens.push(token);
    }
    const text = this.#join(tokens);
    return this.#config.clean_up_tokenization_spaces ? cleanUp(text) : text;
  }

  token(id: number): string | undefined {
    return this.#tokens[id];
  }

  /** The id of a token's exact text, if there is one. */
  token_id(token: string): number | undefined {
    return this.#added.get(token)?.id ?? this.#model.ids.get(token);
  }

  files(): ReadonlyMap<string, string> {
    return new Map([...this.#files].filter(([name]) => name !== "generation_config.json"));
  }

  toJSON(): object {
    return readObject(this.#files, "tokenizer.json");
  }

  #encode(text: string): number[] {
    text = text.toWellFormed();
    const ids: number[] = [];
    for (const { id, start, end } of this.#sections(text)) {
      if (id !== undefined) ids.push(id);
      else this.#encodeSection(text.slice(start, end), start === 0, ids);
    }
    return ids;
  }

  #encodeSection(source: string, first: boolean, ids: number[]): void {
    const text = this.#normalize ? this.#normalize(source) : source;
    for (const { id, start, end } of this.#normalized_sections(text)) {
      if (id !== undefined) ids.push(id);
      else {for (const word of this.#pre_tokenizer.split(text.slice(start, end), first && start === 0)) {
          for (const id of this.#model.encode(word)) {
            ids.push(id);
          }
        }}
    }
  }

  /** Encodes a section like `#encodeSection`, and marks its tokens with a byte in `spans` of `source`. */
  #markSection(source: string, spans: readonly Span[], first: boolean, ids: number[], mask: number[]): void {
    const text = this.#normalize ? this.#normalize(source) : source;
    const moved = spans.map(({ start, end }) => ({
      start: this.#normalizedPlace(source, text, start),
      end: this.#normalizedPlace(source, text, end),
    }));
    for (const { id, start, end } of this.#normalized_sections(text)) {
      const here = moved.map((span) => ({
        start: Math.max(span.start, start) - start,
        end: Math.min(span.end, end) - start,
      })).filter((span) => span.start < span.end);
      if (id !== undefined) {
        ids.push(id), mask.push(here.length > 0 ? 1 : 0);
        continue;
      }
      const words = this.#pre_tokenizer.split(text.slice(start, end), first && start === 0), joined = words.join("");
      // A pre-tokenizer may put one sign before the text, and show spaces as another sign; more than that loses the
      // place.
      const shift = joined.length - (end - start);
      if (shift !== 0 && shift !== 1) refuseSpans(source);
      const tokens = words.map((word) => this.#model.encode(word)),
        lengths = words.flatMap((word, place) => this.#byteLengths(word, tokens[place]!));
      const shifted = here.map((span) => ({ start: span.start === 0 ? 0 : span.start + shift, end: span.end + shift }));
      for (const id of tokens.flat()) ids.push(id);
      for (const marked of maskOfBytes(joined, shifted, lengths)) mask.push(marked);
    }
  }

  /** The place in `text`, which is `source` normalized, of a place in `source`. */
  #normalizedPlace(source: string, text: string, place: number): number {
    if (text === source || place === 0) return place;
    if (place === source.length) return text.length;
    const before = this.#normalize!(source.slice(0, place)), behind = this.#normalize!(source.slice(place));
    // Both halves may get a sign in front; if they are shorter than the whole, text between them was lost.
    return text.startsWith(before) && before.length + behind.length >= text.length
      ? before.length
      : refuseSpans(source);
  }

  /** Number of bytes of its word that each token stands for. */
  #byteLengths(word: string, ids: readonly number[]): number[] {
    if (ids.length === 1) return [byteLength(word)];
    const lengths = ids.map((id) => {
      const token = this.#tokens[id]!;
      return this.#pre_tokenizer.byte_level ? token.length : fallbackByte(token) === undefined ? byteLength(token) : 1;
    });
    const known = !ids.some((id) => id === this.#model.unknown), sum = lengths.reduce((sum, length) => sum + length, 0);
    return known && sum === byteLength(word) ? lengths : refuseSpans(word);
  }
}

function refuseSpans(text: string): never {
  throw new RangeError(
    `Cannot tell which tokens belong to a part of ${
      JSON.stringify(text.slice(0, 60))
    }: the tokenizer changes or drops characters there. Train on all tokens instead of the marked ones`,
  );
}

/**
 * All added tokens by text: those of tokenizer.json, of the config, and the model's tokens to which the config gives a
 * role.
 */
function addedTokens(
  listed: readonly AddedToken[],
  config: TokenizerConfig,
  model: TokenizerModel,
): ReadonlyMap<string, AddedToken> {
  const added = new Map<string, AddedToken>();
  const roles = new Set(Object.values(config.roles));
  const add = (token: AddedToken): void => {
    if (!added.has(token.content)) {
      added.set(token.content, roles.has(token.content) ? { ...token, special: true } : token);
    }
  };
  for (const token of [...listed, ...config.added_tokens]) add(token);
  for (const content of roles) {
    const id = model.ids.get(content);
    if (id !== undefined) {
      add({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true });
    }
  }
  for (const { content, id } of added.values()) {
    const other = model.ids.get(content) ?? id;
    if (other === id) continue;
    throw new RangeError(
      `Cannot use the tokenizer: its token ${
        JSON.stringify(content)
      } has the ids ${id} and ${other}. Copy tokenizer.json and tokenizer_config.json again, from one folder`,
    );
  }
  return added;
}
