/**
 * Tokenizers: Hugging Face's files read and written, bytes, BPE and its training, chat templates.
 *
 * @module
 */
export { BPETokenizer } from "../tokenizer/bpe.ts";
export { trainBPE } from "../tokenizer/bpe_train.ts";
export {
  type ChatMessage,
  ChatTemplate,
  encodeChat,
  type EncodedConversation,
  loadTemplateEngine,
  renderChat,
  type RenderedChat,
  type RenderOptions,
} from "../tokenizer/chat.ts";
export { HuggingFaceTokenizer } from "../tokenizer/hugging_face_tokenizer.ts";
export { IdTokenizer } from "../tokenizer/id_tokenizer.ts";
export { loadTokenizer } from "../tokenizer/load_tokenizer.ts";
export { tokenizerFromFiles } from "../tokenizer/tokenizer_from_files.ts";
export {
  ByteTokenizer,
  type EncodedPair,
  type EncodedSpans,
  type Span,
  SPECIAL_ROLES,
  type SpecialTokens,
  type Tokenizer,
} from "../tokenizer/tokenizer.ts";
export type { TokenizerFiles } from "../tokenizer/tokenizer_config.ts";
