import { attention } from "../ops/attention.ts";
import { embedding, type Segments } from "../ops/embedding.ts";
import { rmsNorm } from "../ops/rms_norm.ts";
import { rope } from "../ops/rope.ts";
import { swiglu } from "../ops/swiglu.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import { type FactorisedWeight, factorised, type Factors, type LinearWeight, parametersOf, projection } from "./factorised.ts";
import { type Initial, type Parameter, parameter, type WeightType } from "./parameter.ts";
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
  readonly q_proj: LinearWeight;
  readonly k_proj: LinearWeight;
  readonly v_proj: LinearWeight;
  readonly o_proj: LinearWeight;
  readonly post_attention_layernorm: Parameter;
  readonly gate_proj: LinearWeight;
  readonly up_proj: LinearWeight;
  readonly down_proj: LinearWeight;
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
  /** What of them are pairs of factors. */
  readonly factorised: readonly FactorisedWeight[];
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

/**
 * The parameters of a LLaMA (Touvron et al., 2023) with Hugging Face's names and shapes; `weights` is how its matrices are stored. With `factors`
 * every linear layer of the decoder is a pair of them, under names of its own.
 * @throws RangeError if the rank exceeds a side of one of these layers.
 */
export function createLlama(config: LlamaConfig, weights: WeightType = "f32", factors?: Factors): Llama {
  const { hidden_size: C, intermediate_size: F, vocab_size: V, head_dim: D, initializer_range: deviation } = config;
  const H = config.num_attention_heads, KV = config.num_key_value_heads;
  const embed_tokens = parameter("model.embed_tokens.weight", [V, C], deviation, weights);
  const layers = [...Array(config.num_hidden_layers).keys()].map((index): LlamaLayer => {
    const make = (name: string, shape: readonly number[], initial: Initial): Parameter => parameter(`model.layers.${index}.${name}.weight`, shape, initial, weights);
    const project = (name: string, out: number, width: number): LinearWeight =>
      factors ? factorised(`model.layers.${index}.${name}`, out, width, factors, weights) : make(name, [out, width], deviation);
    return {
      q_proj: project("self_attn.q_proj", H * D, C),
      k_proj: project("self_attn.k_proj", KV * D, C),
      v_proj: project("self_attn.v_proj", KV * D, C),
      o_proj: project("self_attn.o_proj", C, H * D),
      gate_proj: project("mlp.gate_proj", F, C),
      up_proj: project("mlp.up_proj", F, C),
      down_proj: project("mlp.down_proj", C, F),
      input_layernorm: make("input_layernorm", [C], "ones"),
      post_attention_layernorm: make("post_attention_layernorm", [C], "ones"),
    };
  });
  const norm = parameter("model.norm.weight", [C], "ones");
  const lm_head = config.tie_word_embeddings ? embed_tokens : parameter("lm_head.weight", [V, C], deviation, weights);
  const ofLayers = layers.flatMap((layer): LinearWeight[] => Object.values(layer));
  const parameters = [...new Set([embed_tokens, ...ofLayers.flatMap(parametersOf), norm, lm_head])];
  return { config, embed_tokens, layers, norm, lm_head, parameters, factorised: ofLayers.filter((weight) => "scale" in weight) };
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
  const q = projection(r, normed, layer.q_proj), k = projection(r, normed, layer.k_proj), v = projection(r, normed, layer.v_proj);
  rope(r, q, k, rope_table);
  const attended = projection(r, attention(r, q, k, v, { B, T, H, KV, D }), layer.o_proj, { residual: x });
  const mlpInput = rmsNorm(r, attended, layer.post_attention_layernorm, config.rms_norm_eps);
  const hidden = swiglu(r, projection(r, mlpInput, layer.gate_proj), projection(r, mlpInput, layer.up_proj));
  return projection(r, hidden, layer.down_proj, { residual: attended });
}

/** The same model with some of its parameters replaced, wherever they stand. */
function withParameters(model: Llama, replace: (parameter: Parameter) => Parameter): Llama {
  const replaced = new Map(model.parameters.map((parameter) => [parameter, replace(parameter)]));
  const of = (parameter: Parameter): Parameter => replaced.get(parameter)!;
  const factors = (weight: FactorisedWeight): FactorisedWeight => ({ ...weight, a: of(weight.a), b: of(weight.b) });
  const layers = model.layers.map((layer) =>
    Object.fromEntries(Object.entries(layer).map(([name, weight]: [string, LinearWeight]) => [name, "scale" in weight ? factors(weight) : of(weight)])) as unknown as LlamaLayer);
  return { ...model, layers, embed_tokens: of(model.embed_tokens), norm: of(model.norm), lm_head: of(model.lm_head), parameters: [...replaced.values()], factorised: model.factorised.map(factors) };
}

/** The same model with gradients for some of its parameters only: for programs that train a part. */
export const trainedPart = (model: Llama, trained: ReadonlySet<Parameter>): Llama =>
  withParameters(model, (parameter) => (trained.has(parameter) ? parameter : { ...parameter, needsGradient: false }));

/** The same model with some of its parameters frozen: they have no gradient, no state and are never written by a kernel. */
export const frozenModel = (model: Llama, frozen: ReadonlySet<Variable>): Llama =>
  withParameters(model, (parameter) => (frozen.has(parameter) ? { ...parameter, value: { ...parameter.value, role: "frozen" }, needsGradient: false } : parameter));
