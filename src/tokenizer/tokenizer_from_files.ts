import { HuggingFaceTokenizer } from "./hugging_face_tokenizer.ts";
import { ownTokenizer } from "./own_tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { TokenizerFiles } from "./tokenizer_config.ts";

/** The tokenizer that these files describe. Throws as `loadTokenizer` does. */
export const tokenizerFromFiles = (files: TokenizerFiles): Tokenizer =>
  ownTokenizer(files) ?? new HuggingFaceTokenizer(files);
