import { ConfigReader, type Json } from "./config_reader.ts";

/** Configuration of a BERT or RoBERTa for classification, with the names of Hugging Face's BertConfig. */
export interface BertConfig {
  /** The family, by Hugging Face's name. */
  readonly model_type: "bert" | "roberta";
  /** The first part of parameter names. */
  readonly prefix: string;
  /** Number of token ids. */
  readonly vocab_size: number;
  /** Width of the hidden states. */
  readonly hidden_size: number;
  /** Width inside the feed-forward part. */
  readonly intermediate_size: number;
  /** Number of layers. */
  readonly num_hidden_layers: number;
  /** Number of query heads. */
  readonly num_attention_heads: number;
  /** The longest sequence in tokens. */
  readonly max_position_embeddings: number;
  /** Number of segments. */
  readonly type_vocab_size: number;
  /** Added to the variance in LayerNorm. */
  readonly layer_norm_eps: number;
  /** Standard deviation of the initial weights. */
  readonly initializer_range: number;
  /** Dropout of embeddings and of what each block adds. */
  readonly hidden_dropout_prob: number;
  /** Dropout of the attention's probabilities. */
  readonly attention_probs_dropout_prob: number;
  /** Dropout before the classifier. */
  readonly classifier_dropout: number;
  /** RoBERTa's positions start behind this one. */
  readonly pad_token_id: number;
  /** Names of the classes. */
  readonly labels: readonly string[];
}

/** @throws RangeError for a missing or impossible number, or what no kernel here computes. */
export function parseBertConfig(json: Json): BertConfig {
  const config = new ConfigReader(json);
  config.only("hidden_act", ["gelu"]);
  config.only("is_decoder", [false]);
  config.only("position_embedding_type", ["absolute"]);
  config.only("problem_type", ["single_label_classification"]);
  const model_type = config.only("model_type", ["bert", "roberta"]);
  const hidden_size = config.count("hidden_size"), num_attention_heads = config.count("num_attention_heads");
  if (hidden_size % num_attention_heads !== 0) {
    config.refuse(`"num_attention_heads" ${num_attention_heads} must divide hidden_size ${hidden_size}`);
  }
  const max_position_embeddings = config.count("max_position_embeddings"),
    pad_token_id = config.countOrZero("pad_token_id", model_type === "bert" ? 0 : 1);
  if (model_type === "roberta" && pad_token_id + 1 >= max_position_embeddings) {
    config.refuse(
      `"pad_token_id" ${pad_token_id} leaves no positions of max_position_embeddings ${max_position_embeddings}`,
    );
  }
  const hidden_dropout_prob = config.dropout("hidden_dropout_prob", 0.1);
  return {
    model_type,
    prefix: model_type,
    vocab_size: config.count("vocab_size"),
    hidden_size,
    intermediate_size: config.count("intermediate_size"),
    num_hidden_layers: config.layers("num_hidden_layers"),
    num_attention_heads,
    max_position_embeddings,
    type_vocab_size: config.count("type_vocab_size", model_type === "bert" ? 2 : 1),
    layer_norm_eps: config.positive("layer_norm_eps", 1e-12),
    initializer_range: config.number("initializer_range", 0.02),
    hidden_dropout_prob,
    attention_probs_dropout_prob: config.dropout("attention_probs_dropout_prob", 0.1),
    classifier_dropout: config.dropout("classifier_dropout", hidden_dropout_prob),
    pad_token_id,
    labels: labelsOf(json),
  };
}

/**
 * id2label where it is there, else as many numbered classes as num_labels says; two by default, as in Hugging Face's.
 */
function labelsOf(json: Json): string[] {
  const id2label = json["id2label"];
  if (typeof id2label === "object" && id2label !== null) {
    return Object.entries(id2label).sort(([a], [b]) => Number(a) - Number(b)).map(([, label]) => String(label));
  }
  const count = new ConfigReader(json).classes("num_labels", 2);
  return [...Array(count).keys()].map((index) => `LABEL_${index}`);
}
