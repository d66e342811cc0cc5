import { BPE, WordPiece } from "@huggingface/tokenizers";
import { type ComponentDescription, descriptionOf, refuseComponent, show } from "./description.ts";

/** Size of the cache of words with their ids. It is emptied when full, because rare words never end. */
const REMEMBERED_WORDS = 65536;
const SPACE = "▁";

export interface TokenizerModel {
  /** Ids of the model's own tokens; added tokens are not among them unless the file lists them twice. */
  readonly ids: ReadonlyMap<string, number>;
  /** The token that stands for text in no other token. */
  readonly unknown: number | undefined;
  /** Ids of one word. */
  encode(word: string): readonly number[];
}

/**
 * The `model` of tokenizer.json: BPE or WordPiece.
 * @param seen Gives a word as the model sees it.
 * @throws RangeError at another model, or at settings with which the library would give other ids than Hugging Face's
 * `tokenizers`.
 */
export function compileModel(value: unknown, seen: (word: string) => string): TokenizerModel {
  const model = descriptionOf(value, "model");
  if (!model) return refuseComponent("its model", "missing");
  const ids = vocabularyOf(model);
  // Files of older versions name no type: only BPE has merges.
  const type = model["type"] ?? (model["merges"] ? "BPE" : "WordPiece");
  const tokenize = type === "BPE"
    ? bpe(model, ids)
    : type === "WordPiece"
    ? wordPiece(model)
    : refuseComponent("its model", `"${String(type)}"`);
  const unknown = ids.get(String(model["unk_token"]));
  const idOf = (token: string): number =>
    ids.get(token) ?? unknown ??
      refuseComponent("its unk_token", `${show(model["unk_token"])}, not a token of its vocabulary,`);
  const remembered = new Map<string, readonly number[]>();
  return {
    ids,
    unknown,
    encode(word) {
      let known = remembered.get(word);
      if (!known) {
        if (remembered.size >= REMEMBERED_WORDS) remembered.clear();
        remembered.set(word, known = tokenize(seen(word)).map(idOf));
      }
      return known;
    },
  };
}

function vocabularyOf(model: ComponentDescription): ReadonlyMap<string, number> {
  const { type, vocab } = model;
  // Unigram's vocabulary is a list of tokens with scores.
  if (Array.isArray(vocab) || (type !== undefined && type !== "BPE" && type !== "WordPiece")) {
    refuseComponent("its model", `"${String(type ?? "Unigram")}"`);
  }
  const ids = new Map(Object.entries(descriptionOf(vocab, "model.vocab") ?? {})) as ReadonlyMap<string, number>;
  const wrong = [...ids].find(([, id]) => !Number.isInteger(id) || id < 0);
  if (wrong || ids.size === 0) {
    throw new RangeError(
      `Cannot use the tokenizer: expected model.vocab to give each token an id from 0 on, got ${
        show(wrong ?? {})
      }. Copy tokenizer.json again`,
    );
  }
  return ids;
}

function wordPiece(model: ComponentDescription): (word: string) => string[] {
  const config = {
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    ...model,
    type: "WordPiece",
  } as unknown;
  const library = new WordPiece(config as ConstructorParameters<typeof WordPiece>[0]);
  return (word) => library.encode([word]);
}

function bpe(model: ComponentDescription, ids: ReadonlyMap<string, number>): (word: string) => string[] {
  // The library has another name for the first, treats the second its own way when it decodes, and ignores the third.
  for (const name of ["continuing_subword_prefix", "end_of_word_suffix", "dropout"]) {
    if (model[name]) refuseComponent(`"${name}" of its model`, show(model[name]));
  }
  const merges = mergesOf(model["merges"], ids);
  const library = new BPE({ ...model, merges } as unknown as ConstructorParameters<typeof BPE>[0]);
  // Encode a word at a time: the library would fuse unknown tokens across words.
  const encode = (word: string): string[] => library([word]);
  if (
    model["ignore_merges"] === true || !ids.has(SPACE) || merges.some(([left, right]) => /[^▁]▁/.test(left + right))
  ) return encode;
  // No merge joins a space to the character before it, so words can be merged apart, and remembered, if nothing else
  // splits the text.
  return (word) => (word.match(/[^▁]+|▁+[^▁]*/g) ?? []).flatMap(encode);
}

function mergesOf(value: unknown, ids: ReadonlyMap<string, number>): [string, string][] {
  if (!Array.isArray(value)) {
    throw new TypeError(
      `Cannot use the tokenizer: expected model.merges to be a list, got ${show(value)}. Copy tokenizer.json again`,
    );
  }
  return value.map((merge: unknown, rank) => {
    const [left, right, ...rest] = typeof merge === "string"
      ? merge.split(" ")
      : Array.isArray(merge)
      ? merge as unknown[]
      : [];
    // The library would leave a token out that is not in the vocabulary.
    if (
      typeof left !== "string" || typeof right !== "string" || rest.length > 0 || !ids.has(left) || !ids.has(right) ||
      !ids.has(left + right)
    ) {
      throw new RangeError(
        `Cannot use the tokenizer: expected merge ${rank} to join two tokens of the vocabulary to a third, got ${
          show(merge)
        }. Copy tokenizer.json again`,
      );
    }
    return [left, right];
  });
}
