import { attention } from "../ops/attention.ts";
import { embedding } from "../ops/embedding.ts";
import { rmsNorm } from "../ops/rms_norm.ts";
import { rope } from "../ops/rope.ts";
import { swiglu } from "../ops/swiglu.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import {
  type Architecture,
  defineModel,
  type LanguageModelHead,
  type Model,
  type ModelOptions,
} from "./architecture.ts";
import { createLowRankLinear } from "./low_rank_linear.ts";
import type { ForwardInputs } from "./forward_inputs.ts";
import { applyLinear, createLinear, type LinearLayer } from "./linear_layer.ts";
import { LLAMA_TYPES, type LlamaConfig, llamaJson, parseLlamaConfig } from "./llama_config.ts";
import { type Parameter, parameter } from "./parameter.ts";
import { inLayer } from "./parts.ts";
import { ropeTable, ropeTableTensor } from "./rope_table.ts";

/** The parameters of one decoder layer. */
export interface LlamaLayer {
  /** Projects to the queries. */
  readonly q_proj: LinearLayer;
  /** Projects to the keys. */
  readonly k_proj: LinearLayer;
  /** Projects to the values. */
  readonly v_proj: LinearLayer;
  /** Projects the heads back to hidden_size. */
  readonly o_proj: LinearLayer;
  /** Gives what SiLU gates the feed-forward part with. */
  readonly gate_proj: LinearLayer;
  /** Widens to intermediate_size. */
  readonly up_proj: LinearLayer;
  /** Narrows to hidden_size again. */
  readonly down_proj: LinearLayer;
  /** RMSNorm's weight before the attention. */
  readonly input_layernorm: Parameter;
  /** RMSNorm's weight before the feed-forward part. */
  readonly post_attention_layernorm: Parameter;
  /** Qwen3's, over each head. */
  readonly q_norm?: Parameter;
  /** RMSNorm's weight of the keys, in Qwen3. */
  readonly k_norm?: Parameter;
}

/** LLaMA (Touvron et al., 2023) and its relatives: Mistral, Qwen2, Qwen3, SmolLM. */
export interface Llama extends Model {
  /** The family of models that it belongs to. */
  readonly architecture: Architecture<Llama>;
  /** The settings of its architecture, by config.json's names. */
  readonly config: LlamaConfig;
  /** The layers, first to last. */
  readonly layers: readonly LlamaLayer[];
  /** RMSNorm's weight before the head. */
  readonly norm: Parameter;
  /** Gives a logit for each token id. */
  readonly head: LanguageModelHead;
}

/** The family of LLaMA. With `factors` every linear layer of the decoder is a pair of them, under names of its own. */
export const LLAMA: Architecture<Llama> = {
  types: LLAMA_TYPES,
  parse: parseLlamaConfig,
  create: createLlama,
  forward: llama,
  maxLength: ({ max_position_embeddings }) => max_position_embeddings,
  tables: ({ head_dim, rope_parameters }, T) => ({
    rope: { tensor: ropeTableTensor(T, head_dim), values: () => ropeTable(T, head_dim, rope_parameters) },
  }),
  supportsLowRank: true,
  dropouts: [],
  lora_targets: ["q_proj", "v_proj"],
  files: { prefix: () => "model.", ignored: () => /(?:^|\.)rotary_emb\.inv_freq$/ },
  toJson: llamaJson,
};

/** @throws RangeError if the rank of the factors exceeds a side of a layer. */
function createLlama(config: LlamaConfig, { type, factors }: ModelOptions): Llama {
  const { hidden_size: C, intermediate_size: F, vocab_size: V, head_dim: D, initializer_range: deviation } = config;
  const H = config.num_attention_heads, KV = config.num_key_value_heads, isTied = config.tie_word_embeddings;
  const tokens = parameter("model.embed_tokens.weight", [V, C], deviation, {
    type,
    kind: isTied ? "head" : "embedding",
  });
  const layers = [...Array(config.num_hidden_layers).keys()].map((index): LlamaLayer => {
    const norm = (name: string, width: number): Parameter =>
      parameter(`model.layers.${index}.${name}.weight`, [width], "ones");
    const project = (name: string, out: number, width: number, bias: boolean): LinearLayer =>
      factors
        ? createLowRankLinear(`model.layers.${index}.${name}`, out, width, factors, type)
        : createLinear(`model.layers.${index}.${name}`, out, width, deviation, { bias, type });
    return inLayer(index, {
      q_proj: project("self_attn.q_proj", H * D, C, config.qkv_bias),
      k_proj: project("self_attn.k_proj", KV * D, C, config.qkv_bias),
      v_proj: project("self_attn.v_proj", KV * D, C, config.qkv_bias),
      o_proj: project("self_attn.o_proj", C, H * D, config.o_bias),
      gate_proj: project("mlp.gate_proj", F, C, config.mlp_bias),
      up_proj: project("mlp.up_proj", F, C, config.mlp_bias),
      down_proj: project("mlp.down_proj", C, F, config.mlp_bias),
      input_layernorm: norm("input_layernorm", C),
      post_attention_layernorm: norm("post_attention_layernorm", C),
      ...(config.qk_norm && { q_norm: norm("self_attn.q_norm", D), k_norm: norm("self_attn.k_norm", D) }),
    });
  });
  const norm = parameter("model.norm.weight", [C], "ones");
  const weight = isTied ? tokens : parameter("lm_head.weight", [V, C], deviation, { type, kind: "head" });
  const embeddings = { tokens }, head = { task: "CAUSAL_LM" as const, weight };
  return defineModel({ architecture: LLAMA, config, embeddings, layers, norm, head });
}

/** Hidden states after the final norm: (B*T, C). */
function llama(r: Recorder, model: Llama, inputs: ForwardInputs): Variable {
  let x = embedding(r, model.embeddings.tokens, inputs.tokens.ids, inputs.tokens.segments);
  model.layers.forEach((layer, index) => {
    const record = (x: Variable): Variable =>
      r.scope(
        `model.layers.${index}`,
        () => decoderLayer(r, model.config, layer, x, inputs, model.config.layer_windows?.[index]),
      );
    x = inputs.gradient_checkpointing ? r.checkpoint(x, record) : record(x);
  });
  return rmsNorm(r, x, model.norm, model.config.rms_norm_eps);
}

function decoderLayer(
  r: Recorder,
  config: LlamaConfig,
  layer: LlamaLayer,
  x: Variable,
  inputs: ForwardInputs,
  window: number | undefined,
): Variable {
  const H = config.num_attention_heads, KV = config.num_key_value_heads, D = config.head_dim;
  const { B, T, dropout, documents } = inputs;
  const size = { B, T, H, KV, D, window, ...(documents && { documents }) };
  const project = (x: Variable, to: LinearLayer, residual?: Variable): Variable =>
    applyLinear(r, x, to, { dropout, ...(residual && { residual }) });
  const normed = rmsNorm(r, x, layer.input_layernorm, config.rms_norm_eps);
  let q = project(normed, layer.q_proj), k = project(normed, layer.k_proj);
  const v = project(normed, layer.v_proj);
  if (layer.q_norm) q = rmsNorm(r, q, layer.q_norm, config.rms_norm_eps);
  if (layer.k_norm) k = rmsNorm(r, k, layer.k_norm, config.rms_norm_eps);
  rope(r, q, k, inputs.tables!["rope"]!);
  const attended = project(attention(r, q, k, v, size), layer.o_proj, x);
  const mlpInput = rmsNorm(r, attended, layer.post_attention_layernorm, config.rms_norm_eps);
  const hidden = swiglu(r, project(mlpInput, layer.gate_proj), project(mlpInput, layer.up_proj));
  return project(hidden, layer.down_proj, attended);
}
