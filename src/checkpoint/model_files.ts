import { tokenizerFromJSON } from "../data/bpe.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { createLlama, type Llama, type LlamaConfig } from "../models/llama.ts";
import { parseLlamaConfig } from "../models/llama_config.ts";
import { decodeSafetensors, encodeSafetensors, type NamedTensor } from "./safetensors.ts";

export type Files = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

const encodeJson = (value: unknown): Uint8Array<ArrayBuffer> => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);

/** The files of a model folder: Hugging Face's config.json and model.safetensors, and the tokenizer. */
export function modelFiles({ config }: Llama, max_length: number, tokenizer: Tokenizer, tensors: readonly NamedTensor[]): Files {
  return new Map([
    ["config.json", encodeJson(huggingFaceConfig(config, max_length))],
    ["tokenizer.json", encodeJson(tokenizer.toJSON())],
    ["model.safetensors", encodeSafetensors(tensors)],
  ]);
}

function huggingFaceConfig(config: LlamaConfig, max_length: number): object {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_act: "silu",
    attention_bias: false,
    mlp_bias: false,
    max_position_embeddings: max_length,
    torch_dtype: "float32",
    ...config,
    rope_theta: config.rope_parameters.rope_theta,
  };
}

export interface LoadedModel {
  readonly model: Llama;
  /** Longest sequence it was trained on. */
  readonly max_length: number;
  readonly tokenizer: Tokenizer;
  readonly tensors: readonly NamedTensor[];
}

/**
 * Reads a folder that `modelFiles` wrote.
 * @throws RangeError if a file is missing or the tensors are not those of the config.
 */
export async function loadModelFiles(read: (name: string) => Promise<Uint8Array<ArrayBuffer> | null>): Promise<LoadedModel> {
  const need = async (name: string): Promise<Uint8Array<ArrayBuffer>> => {
    const bytes = await read(name);
    if (!bytes) throw new RangeError(`Cannot load the model: its folder has no ${name}. Give the "model" folder of a run`);
    return bytes;
  };
  const json = async (name: string): Promise<Readonly<Record<string, unknown>>> => {
    const text = new TextDecoder().decode(await need(name));
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
    } catch {
      // Falls through to the same error.
    }
    throw new RangeError(`Cannot load the model: ${name} is not a JSON object. Copy the folder again`);
  };
  const config = await json("config.json");
  const countOf = (key: string): number => {
    const value = config[key];
    if (!Number.isSafeInteger(value) || Number(value) < 1) throw new RangeError(`Cannot load the model: "${key}" in config.json must be a whole number above 0, got ${JSON.stringify(value)}`);
    return Number(value);
  };
  for (const key of ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"]) countOf(key);
  const max_length = countOf("max_position_embeddings");
  const model = createLlama(parseLlamaConfig(config));
  const tokenizer = tokenizerFromJSON(await json("tokenizer.json"));
  if (tokenizer.vocab_size > model.config.vocab_size) {
    throw new RangeError(`Cannot load the model: its tokenizer has ${tokenizer.vocab_size} tokens, its vocabulary ${model.config.vocab_size}. Use the tokenizer it was trained with`);
  }
  const tensors = decodeSafetensors(await need("model.safetensors"));
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape.join()]));
  for (const { value: { label, shape } } of model.parameters) {
    if (shapes.get(label) !== shape.join()) throw new RangeError(`Cannot load the model: tensor "${label}" should be (${shape}), the file has ${shapes.has(label) ? `(${shapes.get(label)})` : "none"}`);
  }
  const known = new Set(model.parameters.map(({ value }) => value.label));
  const stranger = tensors.find(({ name }) => !known.has(name));
  if (stranger) throw new RangeError(`Cannot load the model: tensor "${stranger.name}" is none of the model that config.json describes`);
  return { model, max_length, tokenizer, tensors };
}
