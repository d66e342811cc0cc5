import { BPETokenizer } from "./bpe.ts";
import { addedToken } from "./byte_level_json.ts";
import { loadTemplateEngine } from "./chat.ts";
import { HuggingFaceTokenizer } from "./hugging_face_tokenizer.ts";
import { type ComponentDescription, descriptionOf } from "./hugging_face/description.ts";
import { ByteTokenizer, type Tokenizer } from "./tokenizer.ts";
import { readObject, readTokenizerConfig, type TokenizerFiles } from "./tokenizer_config.ts";

/** Files that a tokenizer may have, the needed one first. */
const FILES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "generation_config.json",
];

/**
 * Loads the tokenizer of a model's folder: Hugging Face's tokenizer.json and the files beside it, or GPT-2's vocab.json
 * and merges.txt.
 * @param read Gives the bytes of a file of the folder, null if it has none of that name.
 * @throws RangeError if there is no such file, or it holds a component that is not supported; TypeError if a file is
 * damaged.
 */
export async function loadTokenizer(read: (name: string) => Promise<Uint8Array | null>): Promise<Tokenizer> {
  const text = async (name: string): Promise<[string, string][]> => {
    const bytes = await read(name);
    return bytes ? [[name, new TextDecoder().decode(bytes)]] : [];
  };
  const files = new Map((await Promise.all(FILES.map(text))).flat());
  if (files.has("tokenizer.json")) return await withEngine(tokenizerFromFiles(files));
  const parts = new Map((await Promise.all(["vocab.json", "merges.txt"].map(text))).flat());
  if (parts.size === 2) {
    const whole = new Map([["tokenizer.json", JSON.stringify(fromParts(parts, files))], ...files]);
    return await withEngine(tokenizerFromFiles(whole));
  }
  const other = await read("tokenizer.model")
    ? "only SentencePiece's tokenizer.model"
    : await read("vocab.txt")
    ? "only BERT's vocab.txt"
    : "none";
  throw new RangeError(
    `Cannot load the tokenizer: expected tokenizer.json in the model's folder, got ${other}. ` +
      "Make one in Python: AutoTokenizer.from_pretrained(FOLDER, use_fast=True).save_pretrained(FOLDER)",
  );
}

/** Loads what renders the tokenizer's chat template, if it has one. */
async function withEngine(tokenizer: Tokenizer): Promise<Tokenizer> {
  if (tokenizer.chat_template !== undefined) await loadTemplateEngine();
  return tokenizer;
}

/** The tokenizer that these files describe. Throws as `loadTokenizer` does. */
export function tokenizerFromFiles(files: TokenizerFiles): Tokenizer {
  return ownTokenizer(files) ?? new HuggingFaceTokenizer(files);
}

/**
 * The plain tokenizer whose own file this is, to the letter; null if any part of it or of its config says something
 * else.
 */
function ownTokenizer(files: TokenizerFiles): Tokenizer | null {
  const { roles, added_tokens, chat_template, generation, clean_up_tokenization_spaces } = readTokenizerConfig(files);
  if (
    chat_template !== undefined || added_tokens.length > 0 || clean_up_tokenization_spaces ||
    [roles, generation].some((given) => Object.keys(given).length > 0)
  ) return null;
  const json = readObject(files, "tokenizer.json"), text = JSON.stringify(json);
  const bytes = new ByteTokenizer();
  if (text === JSON.stringify(bytes)) return bytes;
  const merges = descriptionOf(json["model"], "model")?.["merges"], special = json["added_tokens"];
  if (!Array.isArray(merges) || !merges.every(Array.isArray) || !Array.isArray(special)) return null;
  try {
    const tokenizer = new BPETokenizer(
      merges.map((merge) => merge.join(" ")),
      special.map((token: ComponentDescription | null) => String(token?.["content"])),
    );
    return text === JSON.stringify(tokenizer) ? tokenizer : null;
  } catch {
    return null; // merges of another vocabulary than the 256 bytes
  }
}

/** The tokenizer.json that GPT-2's two files stand for. */
function fromParts(parts: TokenizerFiles, files: TokenizerFiles): object {
  const kind = readObject(files, "tokenizer_config.json")["tokenizer_class"] ?? "GPT2Tokenizer";
  const vocab = readObject(parts, "vocab.json") as Readonly<Record<string, number>>;
  if (!/^GPT2Tokenizer(Fast)?$/.test(String(kind)) || "<mask>" in vocab) {
    throw new RangeError(
      `Cannot load the tokenizer: vocab.json and merges.txt are enough for GPT-2's only, not for ${
        "<mask>" in vocab ? "RoBERTa's" : String(kind)
      }. ` +
        "Make tokenizer.json in Python: AutoTokenizer.from_pretrained(FOLDER, use_fast=True).save_pretrained(FOLDER)",
    );
  }
  const merges = parts.get("merges.txt")!.split(/\r?\n/).filter((line) => line !== "" && !line.startsWith("#version"));
  const own = new ByteTokenizer().toJSON() as Readonly<Record<string, object>>, end = vocab["<|endoftext|>"];
  return {
    ...own,
    added_tokens: end === undefined ? [] : [addedToken(end, "<|endoftext|>")],
    model: { ...own["model"], vocab, merges: merges.map((line) => line.split(" ")) },
  };
}
