import { attention } from "../ops/attention.ts";
import { add } from "../ops/elementwise.ts";
import { embedding } from "../ops/embedding.ts";
import { firstTokens } from "../ops/first_tokens.ts";
import { gelu } from "../ops/gelu.ts";
import { layerNorm } from "../ops/layer_norm.ts";
import { tanh } from "../ops/tanh.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import {
  type Architecture,
  type ClassificationHead,
  defineModel,
  type Embeddings,
  type Model,
  type ModelOptions,
} from "./architecture.ts";
import { type BertConfig, parseBertConfig } from "./bert_config.ts";
import { applyDropout, dropoutOf, type ForwardInputs } from "./forward_inputs.ts";
import { applyLinear, createLinear, type Linear } from "./linear_layer.ts";
import { type LayerNorm, norm } from "./norm.ts";
import { type Parameter, parameter } from "./parameter.ts";
import { inLayer } from "./parts.ts";

/** The parameters of one encoder layer. */
export interface BertLayer {
  /** Projects to the queries. */
  readonly query: Linear;
  /** Projects to the keys. */
  readonly key: Linear;
  /** Projects to the values. */
  readonly value: Linear;
  /** Projects the heads back to hidden_size. */
  readonly attention_output: Linear;
  /** Follows the attention's residual sum. */
  readonly attention_norm: LayerNorm;
  /** Widens to intermediate_size, before the GELU. */
  readonly intermediate: Linear;
  /** Narrows to hidden_size again. */
  readonly output: Linear;
  /** Follows the second residual sum. */
  readonly output_norm: LayerNorm;
}

/** A BERT (Devlin et al., 2018) or RoBERTa (Liu et al., 2019) for sequence classification. */
export interface BertForSequenceClassification extends Model {
  /** The family of models that it belongs to. */
  readonly architecture: Architecture<BertForSequenceClassification>;
  /** The settings of its architecture, by config.json's names. */
  readonly config: BertConfig;
  /** Words, positions and segments. */
  readonly embeddings: Required<Embeddings>;
  /** Follows the sum of the embeddings. */
  readonly embeddings_norm: LayerNorm;
  /** The layers, first to last. */
  readonly layers: readonly BertLayer[];
  /** RoBERTa's classifier.dense, BERT's pooler: both tanh(W x + b) of the first token. */
  readonly pooler: Linear;
  /** Gives one logit for each class. */
  readonly classifier: Linear;
  /** The layers behind the last hidden state. */
  readonly head: ClassificationHead;
}

/** The family of BERT and RoBERTa, with a classification head. */
export const BERT: Architecture<BertForSequenceClassification> = {
  types: ["roberta", "bert"],
  parse: parseBertConfig,
  create: createBert,
  forward: bert,
  maxLength: (config) => config.max_position_embeddings - positionOffset(config),
  positionOffset,
  bidirectional: true,
  dropouts: ["hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"],
  lora_targets: ["query", "value"],
  files: {
    prefix: ({ prefix }) => `${prefix}.`,
    // RoBERTa's pooler is not used for classification, BERT's is.
    ignored: ({ model_type }) =>
      model_type === "roberta"
        ? /^(?:lm_head|cls|(?:roberta\.)?pooler)\.|(?:^|\.)embeddings\.(?:position_ids|token_type_ids)$/
        : /^(?:lm_head|cls)\.|(?:^|\.)embeddings\.(?:position_ids|token_type_ids)$/,
    mayBeNew: (name) => /^(?:classifier\.|bert\.pooler\.)/.test(name),
    // The first BERTs were published with TensorFlow's names of a layer norm.
    aliases: (name) => [
      name.replace(/LayerNorm\.weight$/, "LayerNorm.gamma").replace(/LayerNorm\.bias$/, "LayerNorm.beta"),
    ],
  },
};

/** RoBERTa counts positions from behind the padding's. */
function positionOffset({ model_type, pad_token_id }: BertConfig): number {
  return model_type === "roberta" ? pad_token_id + 1 : 0;
}

function createBert(config: BertConfig, { type }: ModelOptions): BertForSequenceClassification {
  const { hidden_size: C, intermediate_size: F, initializer_range: deviation, prefix, labels } = config;
  const options = { bias: true, type };
  const table = (name: string, rows: number): Parameter =>
    parameter(`${prefix}.embeddings.${name}.weight`, [rows, C], deviation, { type, kind: "embedding" });
  const layers = [...Array(config.num_hidden_layers).keys()].map((index): BertLayer => {
    const name = `${prefix}.encoder.layer.${index}`;
    return inLayer(index, {
      query: createLinear(`${name}.attention.self.query`, C, C, deviation, options),
      key: createLinear(`${name}.attention.self.key`, C, C, deviation, options),
      value: createLinear(`${name}.attention.self.value`, C, C, deviation, options),
      attention_output: createLinear(`${name}.attention.output.dense`, C, C, deviation, options),
      attention_norm: norm(`${name}.attention.output.LayerNorm`, C),
      intermediate: createLinear(`${name}.intermediate.dense`, F, C, deviation, options),
      output: createLinear(`${name}.output.dense`, C, F, deviation, options),
      output_norm: norm(`${name}.output.LayerNorm`, C),
    });
  });
  const isRoberta = config.model_type === "roberta";
  const pooler = createLinear(isRoberta ? "classifier.dense" : "bert.pooler.dense", C, C, deviation, options);
  const classifier = createLinear(isRoberta ? "classifier.out_proj" : "classifier", labels.length, C, deviation, {
    ...options,
    kind: "head",
  });
  return defineModel({
    architecture: BERT,
    config,
    embeddings: {
      tokens: table("word_embeddings", config.vocab_size),
      positions: table("position_embeddings", config.max_position_embeddings),
      token_types: table("token_type_embeddings", config.type_vocab_size),
    },
    embeddings_norm: norm(`${prefix}.embeddings.LayerNorm`, C),
    layers,
    pooler,
    classifier,
    head: {
      task: "SEQ_CLS" as const,
      classes: labels,
      layers: [pooler.name, classifier.name],
      modules: ["classifier", "pooler"],
      class_name: isRoberta ? "RobertaForSequenceClassification" : "BertForSequenceClassification",
    },
  });
}

/** Logits of the classes: (B, classes). */
function bert(r: Recorder, model: BertForSequenceClassification, inputs: ForwardInputs, out?: Tensor): Variable {
  const { tokens, positions, token_types, dropout, B, T } = inputs, { config, embeddings } = model;
  const tokenEmbedding = embedding(r, embeddings.tokens, tokens.ids, tokens.segments);
  const typeEmbedding = embedding(r, embeddings.token_types, token_types!.ids, token_types!.segments);
  const positionEmbedding = embedding(r, embeddings.positions, positions!.ids, positions!.segments);
  const { weight, bias } = model.embeddings_norm;
  let x = applyDropout(
    r,
    layerNorm(r, add(r, add(r, tokenEmbedding, typeEmbedding), positionEmbedding), weight, bias, config.layer_norm_eps),
    dropout,
    config.hidden_dropout_prob,
    "embeddings",
  );
  model.layers.forEach((layer, index) => {
    const record = (x: Variable): Variable =>
      r.scope(`encoder.layer.${index}`, () => bertLayer(r, config, layer, x, inputs, index));
    x = inputs.gradient_checkpointing ? r.checkpoint(x, record) : record(x);
  });
  const first = applyDropout(
    r,
    firstTokens(r, x, { B, T }),
    dropout,
    model.config.model_type === "roberta" ? config.classifier_dropout : 0,
    "pooler",
  );
  const pooled = tanh(r, applyLinear(r, first, model.pooler, { dropout }));
  return applyLinear(r, applyDropout(r, pooled, dropout, config.classifier_dropout, "classifier"), model.classifier, {
    dropout,
    ...(out && { out }),
  });
}

function bertLayer(
  r: Recorder,
  config: BertConfig,
  layer: BertLayer,
  x: Variable,
  inputs: ForwardInputs,
  index: number,
): Variable {
  const { B, T, dropout, documents } = inputs,
    { num_attention_heads: H, layer_norm_eps: eps, hidden_dropout_prob: p } = config;
  const project = (x: Variable, to: Linear): Variable => applyLinear(r, x, to, { dropout });
  const q = project(x, layer.query), k = project(x, layer.key), v = project(x, layer.value);
  const dropsProbabilities = dropoutOf(
    dropout,
    config.attention_probs_dropout_prob,
    `${index}.attention probabilities`,
  );
  const size = {
    B,
    T,
    H,
    KV: H,
    D: config.hidden_size / H,
    causal: false,
    ...(documents && { documents }),
    dropout: dropsProbabilities,
  };
  const attended = applyDropout(
    r,
    project(attention(r, q, k, v, size), layer.attention_output),
    dropout,
    p,
    `${index}.attention`,
  );
  const middle = layerNorm(r, add(r, attended, x), layer.attention_norm.weight, layer.attention_norm.bias, eps);
  const hidden = gelu(r, project(middle, layer.intermediate), "exact");
  const out = applyDropout(r, project(hidden, layer.output), dropout, p, `${index}.mlp`);
  return layerNorm(r, add(r, out, middle), layer.output_norm.weight, layer.output_norm.bias, eps);
}
