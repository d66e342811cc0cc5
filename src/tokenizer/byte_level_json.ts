/**
 * The tokenizer.json of a byte-level BPE vocabulary that was made here, in the form and the order of keys in which
 * Hugging Face's `tokenizers` 0.23 writes it.
 * @param tokens Tokens by id, in GPT-2's visible form; the first `special_count` of them are special.
 * @param merges Two tokens with a space between, by rank.
 */
export function byteLevelJSON(tokens: readonly string[], merges: readonly string[], special_count: number): object {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: tokens.slice(0, special_count).map((content, id) => addedToken(id, content)),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges.map((line) => line.split(" ")),
    },
  };
}

/** A special token as tokenizer.json lists it. */
export function addedToken(id: number, content: string): object {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

/**
 * The tokenizer_config.json beside it. It names a class because transformers would take the model's own otherwise and
 * add its special tokens.
 */
export const OWN_CONFIG: object = { clean_up_tokenization_spaces: false, tokenizer_class: "PreTrainedTokenizerFast" };
