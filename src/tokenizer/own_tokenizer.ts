import { BPETokenizer } from "./bpe.ts";
import { type ComponentDescription, descriptionOf } from "./hugging_face/description.ts";
import { ByteTokenizer, type Tokenizer } from "./tokenizer.ts";
import { readObject, readTokenizerConfig, type TokenizerFiles } from "./tokenizer_config.ts";

/**
 * The plain tokenizer whose own file this is, to the letter; null if any part of it or of its config says something
 * else.
 */
export function ownTokenizer(files: TokenizerFiles): Tokenizer | null {
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
