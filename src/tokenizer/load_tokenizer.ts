import { addedToken } from "./byte_level_json.ts";
import { loadTemplateEngine } from "./chat.ts";
import { ownTokenizer } from "./own_tokenizer.ts";
import { ByteTokenizer, type Tokenizer } from "./tokenizer.ts";
import { readObject, type TokenizerFiles } from "./tokenizer_config.ts";

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
  if (files.has("tokenizer.json")) return await open(files);
  const parts = new Map((await Promise.all(["vocab.json", "merges.txt"].map(text))).flat());
  if (parts.size === 2) {
    return await open(new Map([["tokenizer.json", JSON.stringify(fromParts(parts, files))], ...files]));
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

/** The tokenizer of these files, and with it what only it needs: Hugging Face's components, an engine of templates. */
async function open(files: TokenizerFiles): Promise<Tokenizer> {
  const own = ownTokenizer(files);
  if (own) return own;
  const { HuggingFaceTokenizer } = await import("./hugging_face_tokenizer.ts");
  const tokenizer = new HuggingFaceTokenizer(files);
  if (tokenizer.chat_template !== undefined) await loadTemplateEngine();
  return tokenizer;
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
