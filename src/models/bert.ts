import { attention } from "../ops/attention.ts";
import { add } from "../ops/elementwise.ts";
import { embedding } from "../ops/embedding.ts";
import { firstTokens } from "../ops/first_tokens.ts";
import { gelu } from "../ops/gelu.ts";
import { layerNorm } from "../ops/layer_norm.ts";
import { tanh } from "../ops/tanh.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import type { BertConfig } from "./bert_config.ts";
import { dropoutOf, dropped, type ForwardInputs } from "./inputs.ts";
import { dense, type DenseLayer, projection } from "./linear.ts";
import { type Norm, norm } from "./norm.ts";
import { type Parameter, parameter, parametersIn, type WeightType } from "./parameter.ts";

interface BertLayer {
  readonly query: DenseLayer;
  readonly key: DenseLayer;
  readonly value: DenseLayer;
  readonly attention_output: DenseLayer;
  readonly attention_norm: Norm;
  readonly intermediate: DenseLayer;
  readonly output: DenseLayer;
  readonly output_norm: Norm;
}

/** A BERT or RoBERTa with a classification head. */
export interface Bert {
  readonly family: "bert";
  readonly config: BertConfig;
  readonly word_embeddings: Parameter;
  readonly position_embeddings: Parameter;
  readonly token_type_embeddings: Parameter;
  readonly embeddings_norm: Norm;
  readonly layers: readonly BertLayer[];
  /** RoBERTa's classifier.dense, BERT's pooler: both tanh(W x + b) of the first token. */
  readonly pooler: DenseLayer;
  readonly classifier: DenseLayer;
  readonly parameters: readonly Parameter[];
}

/**
 * The parameters of a BERT (Devlin et al., 2018) or RoBERTa (Liu et al., 2019) for sequence classification, with
 * Hugging Face's names and shapes.
 */
export function createBert(config: BertConfig, weights: WeightType = "f32"): Bert {
  const { hidden_size: C, intermediate_size: F, initializer_range: deviation, prefix } = config;
  const options = { bias: true, type: weights };
  const embeddings = (name: string, rows: number): Parameter =>
    parameter(`${prefix}.embeddings.${name}.weight`, [rows, C], deviation, weights);
  const layers = [...Array(config.num_hidden_layers).keys()].map((index): BertLayer => {
    const name = `${prefix}.encoder.layer.${index}`;
    return {
      query: dense(`${name}.attention.self.query`, C, C, deviation, options),
      key: dense(`${name}.attention.self.key`, C, C, deviation, options),
      value: dense(`${name}.attention.self.value`, C, C, deviation, options),
      attention_output: dense(`${name}.attention.output.dense`, C, C, deviation, options),
      attention_norm: norm(`${name}.attention.output.LayerNorm`, C),
      intermediate: dense(`${name}.intermediate.dense`, F, C, deviation, options),
      output: dense(`${name}.output.dense`, C, F, deviation, options),
      output_norm: norm(`${name}.output.LayerNorm`, C),
    };
  });
  const isRoberta = config.model_type === "roberta";
  const model = {
    family: "bert" as const,
    config,
    word_embeddings: embeddings("word_embeddings", config.vocab_size),
    position_embeddings: embeddings("position_embeddings", config.max_position_embeddings),
    token_type_embeddings: embeddings("token_type_embeddings", config.type_vocab_size),
    embeddings_norm: norm(`${prefix}.embeddings.LayerNorm`, C),
    layers,
    pooler: dense(isRoberta ? "classifier.dense" : "bert.pooler.dense", C, C, deviation, options),
    classifier: dense(isRoberta ? "classifier.out_proj" : "classifier", config.labels.length, C, deviation, options),
  };
  return { ...model, parameters: parametersIn(model) };
}

/** Logits of the classes: (B, classes). */
export function bert(
  r: Recorder,
  model: Bert,
  inputs: ForwardInputs,
  options: { readonly out?: Tensor } = {},
): Variable {
  const { tokens, positions, token_types, dropout, B, T } = inputs, { config } = model;
  const words = embedding(r, model.word_embeddings, tokens.ids, tokens.segments);
  const types = embedding(r, model.token_type_embeddings, token_types!.ids, token_types!.segments);
  const places = embedding(r, model.position_embeddings, positions!.ids, positions!.segments);
  const { weight, bias } = model.embeddings_norm;
  let x = dropped(
    r,
    layerNorm(r, add(r, add(r, words, types), places), weight, bias, config.layer_norm_eps),
    dropout,
    config.hidden_dropout_prob,
    "embeddings",
  );
  model.layers.forEach((layer, index) => {
    const record = (x: Variable): Variable =>
      r.scope(`encoder.layer.${index}`, () => bertLayer(r, config, layer, x, inputs, index));
    x = inputs.gradient_checkpointing ? r.checkpoint(x, record) : record(x);
  });
  const first = dropped(
    r,
    firstTokens(r, x, { B, T }),
    dropout,
    model.config.model_type === "roberta" ? config.classifier_dropout : 0,
    "pooler",
  );
  const pooled = tanh(r, projection(r, first, model.pooler, { dropout }));
  return projection(r, dropped(r, pooled, dropout, config.classifier_dropout, "classifier"), model.classifier, {
    dropout,
    ...options,
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
  const project = (x: Variable, to: DenseLayer): Variable => projection(r, x, to, { dropout });
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
  const attended = dropped(
    r,
    project(attention(r, q, k, v, size), layer.attention_output),
    dropout,
    p,
    `${index}.attention`,
  );
  const middle = layerNorm(r, add(r, attended, x), layer.attention_norm.weight, layer.attention_norm.bias, eps);
  const hidden = gelu(r, project(middle, layer.intermediate), "exact");
  const out = dropped(r, project(hidden, layer.output), dropout, p, `${index}.mlp`);
  return layerNorm(r, add(r, out, middle), layer.output_norm.weight, layer.output_norm.bias, eps);
}
