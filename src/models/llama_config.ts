import type { LlamaConfig } from "./llama.ts";
import type { RopeParameters } from "./rope_table.ts";

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads Hugging Face's config.json of a LLaMA, in the keys of transformers 4 (rope_theta, rope_scaling) or 5 (rope_parameters).
 * @throws RangeError for another architecture or a missing number.
 */
export function parseLlamaConfig(json: unknown): LlamaConfig {
  const config = json as Json;
  if (config["model_type"] !== "llama") throw new RangeError(`Cannot read model_type "${String(config["model_type"])}": expected "llama"`);
  const number = (key: string): number => {
    const value = config[key];
    if (typeof value !== "number") throw new RangeError(`Cannot read the model's config: "${key}" must be a number, got ${JSON.stringify(value)}`);
    return value;
  };
  for (const key of ["attention_bias", "mlp_bias"]) {
    if (config[key]) throw new RangeError(`Cannot read the model's config: "${key}" must be false`);
  }
  const hidden_size = number("hidden_size"), num_attention_heads = number("num_attention_heads");
  return {
    vocab_size: number("vocab_size"),
    hidden_size,
    intermediate_size: number("intermediate_size"),
    num_hidden_layers: number("num_hidden_layers"),
    num_attention_heads,
    num_key_value_heads: typeof config["num_key_value_heads"] === "number" ? config["num_key_value_heads"] : num_attention_heads,
    head_dim: typeof config["head_dim"] === "number" ? config["head_dim"] : hidden_size / num_attention_heads,
    rms_norm_eps: number("rms_norm_eps"),
    rope_parameters: ropeParametersOf(config),
    tie_word_embeddings: config["tie_word_embeddings"] === true,
    initializer_range: typeof config["initializer_range"] === "number" ? config["initializer_range"] : 0.02,
  };
}

function ropeParametersOf(config: Json): RopeParameters {
  const scaling = (config["rope_parameters"] ?? config["rope_scaling"] ?? {}) as Partial<RopeParameters>;
  const rope_theta = scaling.rope_theta ?? config["rope_theta"] ?? 10000;
  return { ...scaling, rope_theta: Number(rope_theta) };
}
