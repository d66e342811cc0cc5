// The training steps whose kernels are compiled. Shapes alone count: nothing is loaded or run.

import { OPTIMIZERS } from "../../../src/optim/presets.ts";
import type { WeightType } from "../../../src/models/parameter.ts";

type Json = Readonly<Record<string, unknown>>;

/** One training step, or several. */
export interface Preset {
  readonly summary: string;
  /** Settings of each step. */
  readonly settings: readonly Json[];
  readonly vocab_size: number;
  /** config.json of a pretrained model, and the format of its weights. */
  readonly base?: { readonly json: Json; readonly type: WeightType };
  /** Sequences hold several documents. */
  readonly packed?: boolean;
}

const SMOLLM = {
  model_type: "llama",
  vocab_size: 49152,
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
};
const LLAMA_1B = {
  ...SMOLLM,
  vocab_size: 128256,
  hidden_size: 2048,
  intermediate_size: 8192,
  num_hidden_layers: 16,
  num_attention_heads: 32,
  num_key_value_heads: 8,
};
const GPT2 = {
  model_type: "gpt2",
  vocab_size: 50257,
  n_embd: 768,
  n_head: 12,
  n_layer: 12,
  n_positions: 1024,
  activation_function: "gelu_new",
  resid_pdrop: 0,
  embd_pdrop: 0,
  attn_pdrop: 0,
};
const ROBERTA = {
  model_type: "roberta",
  architectures: ["RobertaForSequenceClassification"],
  vocab_size: 50265,
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  max_position_embeddings: 514,
  type_vocab_size: 1,
  pad_token_id: 1,
  layer_norm_eps: 1e-5,
  hidden_act: "gelu",
  hidden_dropout_prob: 0.1,
  attention_probs_dropout_prob: 0.1,
  id2label: { 0: "a", 1: "b" },
};

/** Of GaLore's paper. */
const LLAMA_60M = {
  hidden_size: 512,
  intermediate_size: 1376,
  num_hidden_layers: 8,
  num_attention_heads: 8,
  num_key_value_heads: 8,
  tie_word_embeddings: false,
  max_length: 512,
  per_device_train_batch_size: 8,
};
const LONG = { model: "pretrained", max_length: 1024, per_device_train_batch_size: 4 };
const LORA = { ...LONG, peft: { r: 8, lora_alpha: 16, target_modules: "all-linear" } };

export const PRESETS: Readonly<Record<string, Preset>> = {
  smollm: {
    summary: "SmolLM2-135M, all of it, 4 × 1024 tokens",
    settings: [LONG],
    vocab_size: SMOLLM.vocab_size,
    base: { json: SMOLLM, type: "f32" },
  },
  gpt2: {
    summary: "GPT-2 small, all of it, 4 × 1024 tokens",
    settings: [LONG],
    vocab_size: GPT2.vocab_size,
    base: { json: GPT2, type: "f32" },
  },
  llama60m: { summary: "LLaMA-60M, AdamW, 8 × 512 tokens", settings: [LLAMA_60M], vocab_size: 32000 },
  qlora: {
    summary: "SmolLM2-135M in nf4, LoRA, 4 × 1024 tokens",
    settings: [{ ...LORA, load_in_4bit: true }],
    vocab_size: SMOLLM.vocab_size,
    base: { json: SMOLLM, type: "bf16" },
  },
  int8: {
    summary: "SmolLM2-135M in int8, LoRA, 4 × 1024 tokens",
    settings: [{ ...LORA, load_in_8bit: true }],
    vocab_size: SMOLLM.vocab_size,
    base: { json: SMOLLM, type: "bf16" },
  },
  lora: {
    summary: "SmolLM2-135M in bf16, LoRA, 4 × 1024 tokens",
    settings: [LORA],
    vocab_size: SMOLLM.vocab_size,
    base: { json: SMOLLM, type: "bf16" },
  },
  llama1b: {
    summary: "Llama-3.2-1B in nf4, LoRA, documents packed, 4 × 1024 tokens",
    settings: [{ ...LORA, load_in_4bit: true, gradient_checkpointing: true }],
    vocab_size: LLAMA_1B.vocab_size,
    base: { json: LLAMA_1B, type: "bf16" },
    packed: true,
  },
  bf16: {
    summary: "LLaMA-60M with weights in bf16, 8 × 512 tokens",
    settings: [{ ...LLAMA_60M, dtype: "bfloat16" }],
    vocab_size: 32000,
  },
  roberta: {
    summary: "RoBERTa base that classifies, with dropout, 16 × 256 tokens",
    settings: [{ ...LONG, max_length: 256, per_device_train_batch_size: 16 }],
    vocab_size: ROBERTA.vocab_size,
    base: { json: ROBERTA, type: "f32" },
  },
  optimizers: {
    summary: "LLaMA-60M with two layers under each optimizer, 8 × 512 tokens",
    settings: OPTIMIZERS.map((optim) => ({ ...LLAMA_60M, num_hidden_layers: 2, optim })),
    vocab_size: 32000,
  },
};
