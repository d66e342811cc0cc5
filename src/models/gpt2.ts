import { attention } from "../ops/attention.ts";
import { add } from "../ops/elementwise.ts";
import { embedding } from "../ops/embedding.ts";
import { gelu } from "../ops/gelu.ts";
import { layerNorm } from "../ops/layer_norm.ts";
import { splitColumns } from "../ops/split_columns.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import {
  type Architecture,
  defineModel,
  type LanguageModelHead,
  type Model,
  type ModelOptions,
} from "./architecture.ts";
import { ConfigReader, type Json } from "./config_reader.ts";
import { applyDropout, dropoutOf, type ForwardInputs } from "./forward_inputs.ts";
import { applyLinear, createLinear, type CreateLinearOptions, type Linear } from "./linear_layer.ts";
import { type LayerNorm, norm } from "./norm.ts";
import { parameter } from "./parameter.ts";
import { inLayer } from "./parts.ts";

/** Configuration of a GPT-2, with the names of Hugging Face's GPT2Config. */
export interface Gpt2Config {
  /** Number of token ids. */
  readonly vocab_size: number;
  /** The longest sequence in tokens. */
  readonly n_positions: number;
  /** Width of the hidden states. */
  readonly n_embd: number;
  /** Number of layers. */
  readonly n_layer: number;
  /** Number of heads. */
  readonly n_head: number;
  /** Width inside the feed-forward part. */
  readonly n_inner: number;
  /** Added to the variance in LayerNorm. */
  readonly layer_norm_epsilon: number;
  /** Standard deviation of the initial weights. */
  readonly initializer_range: number;
  /** True if the token embedding is the output matrix too. */
  readonly tie_word_embeddings: boolean;
  /** Dropout of the embeddings. */
  readonly embd_pdrop: number;
  /** Dropout of what each block adds. */
  readonly resid_pdrop: number;
  /** Dropout of the attention's probabilities. */
  readonly attn_pdrop: number;
}

/** The parameters of one layer. */
export interface Gpt2Layer {
  /** Normalizes before the attention. */
  readonly ln_1: LayerNorm;
  /** Projects to queries, keys and values at once. */
  readonly c_attn: Linear;
  /** Projects the heads back to n_embd. */
  readonly c_proj: Linear;
  /** Normalizes before the feed-forward part. */
  readonly ln_2: LayerNorm;
  /** Widens to n_inner, before the GELU. */
  readonly c_fc: Linear;
  /** Narrows to n_embd again. */
  readonly mlp_c_proj: Linear;
}

/** GPT-2 (Radford et al., 2019), whose linear weights are (in, out). */
export interface Gpt2 extends Model {
  /** The family of models that it belongs to. */
  readonly architecture: Architecture<Gpt2>;
  /** The settings of its architecture, by config.json's names. */
  readonly config: Gpt2Config;
  /** The layers, first to last. */
  readonly layers: readonly Gpt2Layer[];
  /** Normalizes the last hidden state. */
  readonly ln_f: LayerNorm;
  /** Gives a logit for each token id. */
  readonly head: LanguageModelHead;
}

/** The family of GPT-2. */
export const GPT2: Architecture<Gpt2> = {
  types: ["gpt2"],
  parse: parseGpt2Config,
  create: createGpt2,
  forward: gpt2,
  maxLength: ({ n_positions }) => n_positions,
  dropouts: ["embd_pdrop", "resid_pdrop", "attn_pdrop"],
  lora_targets: ["c_attn"],
  files: { prefix: () => "transformer.", ignored: () => /(?:^|\.)attn\.(?:bias|masked_bias)$/ },
};

/** @throws RangeError for a missing or impossible number, or what no kernel here computes. */
function parseGpt2Config(json: Json): Gpt2Config {
  const config = new ConfigReader(json);
  config.only("activation_function", ["gelu_new", "gelu_pytorch_tanh"]);
  config.only("scale_attn_weights", [true]);
  config.only("scale_attn_by_inverse_layer_idx", [false]);
  config.only("add_cross_attention", [false]);
  const n_embd = config.count("n_embd"), n_head = config.count("n_head");
  if (n_embd % n_head !== 0) config.refuse(`"n_head" ${n_head} must divide n_embd ${n_embd}`);
  return {
    vocab_size: config.count("vocab_size"),
    n_positions: config.count("n_positions", 1024),
    n_embd,
    n_layer: config.layers("n_layer"),
    n_head,
    n_inner: config.count("n_inner", 4 * n_embd),
    layer_norm_epsilon: config.positive("layer_norm_epsilon", 1e-5),
    initializer_range: config.number("initializer_range", 0.02),
    tie_word_embeddings: config.flag("tie_word_embeddings", true),
    embd_pdrop: config.dropout("embd_pdrop", 0.1),
    resid_pdrop: config.dropout("resid_pdrop", 0.1),
    attn_pdrop: config.dropout("attn_pdrop", 0.1),
  };
}

function createGpt2(config: Gpt2Config, { type }: ModelOptions): Gpt2 {
  const { n_embd: C, n_inner: F, vocab_size: V, initializer_range: deviation, tie_word_embeddings: isTied } = config;
  const options: CreateLinearOptions = { bias: true, transposed: true, type };
  const embeddings = {
    tokens: parameter("transformer.wte.weight", [V, C], deviation, { type, kind: isTied ? "head" : "embedding" }),
    positions: parameter("transformer.wpe.weight", [config.n_positions, C], deviation, { type, kind: "embedding" }),
  };
  // Layers that add to the residual stream start smaller, as in the paper.
  const residual = deviation / Math.sqrt(2 * Math.max(1, config.n_layer));
  const layers = [...Array(config.n_layer).keys()].map((index): Gpt2Layer => {
    const name = `transformer.h.${index}`;
    return inLayer(index, {
      ln_1: norm(`${name}.ln_1`, C),
      c_attn: createLinear(`${name}.attn.c_attn`, 3 * C, C, deviation, options),
      c_proj: createLinear(`${name}.attn.c_proj`, C, C, residual, options),
      ln_2: norm(`${name}.ln_2`, C),
      c_fc: createLinear(`${name}.mlp.c_fc`, F, C, deviation, options),
      mlp_c_proj: createLinear(`${name}.mlp.c_proj`, C, F, residual, options),
    });
  });
  const ln_f = norm("transformer.ln_f", C);
  const weight = isTied ? embeddings.tokens : parameter("lm_head.weight", [V, C], deviation, { type, kind: "head" });
  const head = { task: "CAUSAL_LM" as const, weight };
  return defineModel({ architecture: GPT2, config, embeddings, layers, ln_f, head });
}

/** Hidden states after the final norm: (B*T, C). */
function gpt2(r: Recorder, model: Gpt2, inputs: ForwardInputs): Variable {
  const { tokens, positions, dropout } = inputs, { config, embeddings } = model;
  const embedded = add(
    r,
    embedding(r, embeddings.tokens, tokens.ids, tokens.segments),
    embedding(r, embeddings.positions!, positions!.ids, positions!.segments),
  );
  let x = applyDropout(r, embedded, dropout, config.embd_pdrop, "embeddings");
  model.layers.forEach((layer, index) => {
    const record = (x: Variable): Variable =>
      r.scope(`transformer.h.${index}`, () => gpt2Layer(r, config, layer, x, inputs, index));
    x = inputs.gradient_checkpointing ? r.checkpoint(x, record) : record(x);
  });
  return layerNorm(r, x, model.ln_f.weight, model.ln_f.bias, config.layer_norm_epsilon);
}

function gpt2Layer(
  r: Recorder,
  config: Gpt2Config,
  layer: Gpt2Layer,
  x: Variable,
  inputs: ForwardInputs,
  index: number,
): Variable {
  const { B, T, dropout, documents } = inputs, { n_head: H, layer_norm_epsilon: eps, resid_pdrop: p } = config;
  const project = (x: Variable, to: Linear): Variable => applyLinear(r, x, to, { dropout });
  const normed = layerNorm(r, x, layer.ln_1.weight, layer.ln_1.bias, eps);
  const [q, k, v] = splitColumns(r, project(normed, layer.c_attn), 3) as [Variable, Variable, Variable];
  const dropsProbabilities = dropoutOf(dropout, config.attn_pdrop, `${index}.attention probabilities`);
  const attended = attention(r, q, k, v, {
    B,
    T,
    H,
    KV: H,
    D: config.n_embd / H,
    ...(documents && { documents }),
    dropout: dropsProbabilities,
  });
  const middle = add(r, x, applyDropout(r, project(attended, layer.c_proj), dropout, p, `${index}.attention`));
  const hidden = gelu(r, project(layerNorm(r, middle, layer.ln_2.weight, layer.ln_2.bias, eps), layer.c_fc), "tanh");
  return add(r, middle, applyDropout(r, project(hidden, layer.mlp_c_proj), dropout, p, `${index}.mlp`));
}
