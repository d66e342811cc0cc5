import { ConfigReader, type Json } from "./config_reader.ts";
import { checkRope, type RopeParameters } from "./rope_table.ts";

/** Configuration of a LLaMA or a relative, with the names of Hugging Face's LlamaConfig where it has one. */
export interface LlamaConfig {
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
  /** Number of key and value heads; fewer than query heads share them. */
  readonly num_key_value_heads: number;
  /** Width of a head. */
  readonly head_dim: number;
  /** The longest sequence in tokens. */
  readonly max_position_embeddings: number;
  /** Added to the mean square in RMSNorm. */
  readonly rms_norm_eps: number;
  /** The frequencies of the rotary positions. */
  readonly rope_parameters: RopeParameters;
  /** True if the token embedding is the output matrix too. */
  readonly tie_word_embeddings: boolean;
  /** Standard deviation of the initial weights. */
  readonly initializer_range: number;
  /** Biases of queries, keys and values (Qwen2), of the attention's output, of the MLP. */
  readonly qkv_bias: boolean;
  /** True if o_proj has a bias. */
  readonly o_bias: boolean;
  /** True if the feed-forward part has biases. */
  readonly mlp_bias: boolean;
  /** RMSNorm of each head's queries and keys (Qwen3). */
  readonly qk_norm: boolean;
  /** Positions that each layer's attention sees, its own among them (Mistral). Undefined: all before it. */
  readonly layer_windows?: readonly (number | undefined)[];
}

/** Values of model_type that differ from LLaMA by biases and norms only. SmolLM calls itself llama. */
export const LLAMA_TYPES = ["llama", "mistral", "qwen2", "qwen3"] as const;

/**
 * Reads config.json in the keys of transformers 4 (rope_theta, rope_scaling) or 5 (rope_parameters).
 * @throws RangeError for a missing or impossible number, or what no kernel here computes.
 */
export function parseLlamaConfig(json: Json): LlamaConfig {
  const config = new ConfigReader(json);
  const type = json["model_type"];
  config.only("hidden_act", ["silu"]);
  config.only("partial_rotary_factor", [1]);
  const hidden_size = config.count("hidden_size"), num_attention_heads = config.count("num_attention_heads");
  const num_key_value_heads = config.count("num_key_value_heads", num_attention_heads);
  const head_dim = config.count("head_dim", hidden_size / num_attention_heads);
  if (num_attention_heads % num_key_value_heads !== 0) {
    config.refuse(
      `"num_key_value_heads" ${num_key_value_heads} must divide num_attention_heads ${num_attention_heads}`,
    );
  }
  if (head_dim % 2 !== 0) config.refuse(`"head_dim" must be even for RoPE, got ${head_dim}`);
  const attentionBias = config.flag("attention_bias", false);
  const max_position_embeddings = config.count("max_position_embeddings", 2048);
  const layer_windows = windowsOf(json);
  return {
    vocab_size: config.count("vocab_size"),
    hidden_size,
    intermediate_size: config.count("intermediate_size"),
    num_hidden_layers: config.layers("num_hidden_layers"),
    num_attention_heads,
    num_key_value_heads,
    head_dim,
    max_position_embeddings,
    rms_norm_eps: config.positive("rms_norm_eps", 1e-6),
    rope_parameters: ropeParametersOf(json),
    tie_word_embeddings: config.flag("tie_word_embeddings", false),
    initializer_range: config.number("initializer_range", 0.02),
    qkv_bias: type === "qwen2" || attentionBias,
    o_bias: attentionBias && type !== "qwen2",
    mlp_bias: config.flag("mlp_bias", false),
    qk_norm: type === "qwen3",
    ...(layer_windows && { layer_windows }),
  };
}

/** Mistral's window where config.json does not name one: the default of transformers. */
const MISTRAL_WINDOW = 4096;
/** The first layer with a window of a Qwen, by default. */
const QWEN_FULL_LAYERS = 28;

/**
 * The windows of attention, layer by layer, if there are any: those of `layer_types` (transformers 5), else Mistral's
 * in all layers, Qwen's in those from max_window_layers on if use_sliding_window is set.
 */
function windowsOf(json: Json): readonly (number | undefined)[] | undefined {
  const config = new ConfigReader(json), type = json["model_type"], kinds = json["layer_types"];
  if (type === "llama" || json["sliding_window"] === null) return undefined;
  if (type !== "mistral" && !config.flag("use_sliding_window", false)) return undefined;
  const window = config.count("sliding_window", MISTRAL_WINDOW);
  const first = type === "mistral" ? 0 : config.countOrZero("max_window_layers", QWEN_FULL_LAYERS);
  return [...Array(config.layers("num_hidden_layers")).keys()].map((index) => {
    const slides = Array.isArray(kinds) ? kinds[index] === "sliding_attention" : index >= first;
    return slides ? window : undefined;
  });
}

function ropeParametersOf(json: Json): RopeParameters {
  // transformers 4 called the kind "type" at first.
  const { type, ...scaling } = (json["rope_parameters"] ?? json["rope_scaling"] ?? {}) as Partial<RopeParameters> & {
    readonly type?: string;
  };
  const rope = {
    ...(type !== undefined && { rope_type: type }),
    ...scaling,
    rope_theta: Number(scaling.rope_theta ?? json["rope_theta"] ?? 10000),
  } as RopeParameters;
  if (!(rope.rope_theta > 0)) {
    new ConfigReader(json).refuse(`"rope_theta" must be a number above 0, got ${rope.rope_theta}`);
  }
  checkRope(rope);
  return rope;
}

/** config.json of a model that is made here, in keys that transformers 4 and 5 both read. */
export function llamaJson(config: LlamaConfig): Json {
  const { qkv_bias, o_bias: _o, qk_norm: _qk, ...own } = config;
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_act: "silu",
    attention_bias: qkv_bias,
    ...own,
    rope_theta: config.rope_parameters.rope_theta,
  };
}
