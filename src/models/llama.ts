import { attention } from "../ops/attention.ts";
import { embedding, type Segments } from "../ops/embedding.ts";
import { linear } from "../ops/linear.ts";
import { rmsNorm } from "../ops/rms_norm.ts";
import { rope } from "../ops/rope.ts";
import { swiglu } from "../ops/swiglu.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import { type Parameter, parameter } from "./parameter.ts";
import type { RopeParameters } from "./rope_table.ts";

/** The keys of Hugging Face's LlamaConfig that this model reads. */
export interface LlamaConfig {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly rms_norm_eps: number;
  readonly rope_parameters: RopeParameters;
  readonly tie_word_embeddings: boolean;
  readonly initializer_range: number;
}

interface LlamaLayer {
  readonly input_layernorm: Parameter;
  readonly q_proj: Parameter;
  readonly k_proj: Parameter;
  readonly v_proj: Parameter;
  readonly o_proj: Parameter;
  readonly post_attention_layernorm: Parameter;
  readonly gate_proj: Parameter;
  readonly up_proj: Parameter;
  readonly down_proj: Parameter;
}

export interface Llama {
  readonly config: LlamaConfig;
  readonly embed_tokens: Parameter;
  readonly layers: readonly LlamaLayer[];
  readonly norm: Parameter;
  /** The embedding itself when tied. */
  readonly lm_head: Parameter;
  /** Every distinct parameter, in Hugging Face's order. */
  readonly parameters: readonly Parameter[];
}

/** What one forward pass reads. */
export interface LlamaInputs {
  /** (B*T) u32. */
  readonly ids: Tensor;
  /** For training. */
  readonly segments?: Segments;
  readonly rope_table: Tensor;
  /** Sequences, and tokens in each. */
  readonly B: number;
  readonly T: number;
  /** Keep only each layer's input for the backward pass and compute the rest again. */
  readonly gradient_checkpointing?: boolean;
}

/** The parameters of a LLaMA (Touvron et al., 2023) with Hugging Face's names and shapes. */
export function createLlama(config: LlamaConfig): Llama {
  const { hidden_size: C, intermediate_size: F, vocab_size: V, head_dim: D, initializer_range: deviation } = config;
  const H = config.num_attention_heads, KV = config.num_key_value_heads;
  const embed_tokens = parameter("model.embed_tokens.weight", [V, C], deviation);
  const layers = [...Array(config.num_hidden_layers).keys()].map((index): LlamaLayer => {
    const make = (name: string, shape: readonly number[], initial: number | "ones"): Parameter => parameter(`model.layers.${index}.${name}.weight`, shape, initial);
    return {
      q_proj: make("self_attn.q_proj", [H * D, C], deviation),
      k_proj: make("self_attn.k_proj", [KV * D, C], deviation),
      v_proj: make("self_attn.v_proj", [KV * D, C], deviation),
      o_proj: make("self_attn.o_proj", [C, H * D], deviation),
      gate_proj: make("mlp.gate_proj", [F, C], deviation),
      up_proj: make("mlp.up_proj", [F, C], deviation),
      down_proj: make("mlp.down_proj", [C, F], deviation),
      input_layernorm: make("input_layernorm", [C], "ones"),
      post_attention_layernorm: make("post_attention_layernorm", [C], "ones"),
    };
  });
  const norm = parameter("model.norm.weight", [C], "ones");
  const lm_head = config.tie_word_embeddings ? embed_tokens : parameter("lm_head.weight", [V, C], deviation);
  const parameters = [...new Set([embed_tokens, ...layers.flatMap((layer): Parameter[] => Object.values(layer)), norm, lm_head])];
  return { config, embed_tokens, layers, norm, lm_head, parameters };
}

/** Hidden states after the final norm: (B*T, C). Multiply by `lm_head` for logits. */
export function llama(r: Recorder, model: Llama, inputs: LlamaInputs): Variable {
  let x = embedding(r, model.embed_tokens, inputs.ids, inputs.segments);
  model.layers.forEach((layer, index) => {
    const record = (x: Variable): Variable => r.scope(`model.layers.${index}`, () => decoderLayer(r, model.config, layer, x, inputs));
    x = inputs.gradient_checkpointing ? r.checkpoint(x, record) : record(x);
  });
  return rmsNorm(r, x, model.norm, model.config.rms_norm_eps);
}

function decoderLayer(r: Recorder, config: LlamaConfig, layer: LlamaLayer, x: Variable, { rope_table, B, T }: LlamaInputs): Variable {
  const H = config.num_attention_heads, KV = config.num_key_value_heads, D = config.head_dim;
  const normed = rmsNorm(r, x, layer.input_layernorm, config.rms_norm_eps);
  const q = linear(r, normed, layer.q_proj), k = linear(r, normed, layer.k_proj), v = linear(r, normed, layer.v_proj);
  rope(r, q, k, rope_table);
  const attended = linear(r, attention(r, q, k, v, { B, T, H, KV, D }), layer.o_proj, { residual: x });
  const mlpInput = rmsNorm(r, attended, layer.post_attention_layernorm, config.rms_norm_eps);
  const hidden = swiglu(r, linear(r, mlpInput, layer.gate_proj), linear(r, mlpInput, layer.up_proj));
  return linear(r, hidden, layer.down_proj, { residual: attended });
}
