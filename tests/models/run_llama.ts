// A small llama on the device, for tests that compare one way of training with another.

import { random } from "../harness.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import { freeze } from "../../src/models/freeze.ts";
import { LLAMA, type Llama } from "../../src/models/llama.ts";
import type { LlamaConfig } from "../../src/models/llama_config.ts";
import { trainedParameters } from "../../src/models/parameter.ts";
import { Optimizer } from "../../src/optim/optimizer.ts";
import { type OptimizerName, resolveOptimizer } from "../../src/optim/presets.ts";
import type { Tensor } from "../../src/plan/tensor.ts";
import {
  planPrograms,
  type Programs,
  recordEvaluate,
  recordGenerate,
  recordTrain,
  tablesOf,
  type TrainProgram,
} from "../../src/train/programs.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { testGpu } from "../test_gpu.ts";

export type Words = Uint32Array<ArrayBuffer>;
export type Batch = { readonly input_ids: Words; readonly labels: Words };

/** Odd sizes, grouped heads, an untied head. */
export const CONFIG: LlamaConfig = {
  vocab_size: 37,
  hidden_size: 20,
  intermediate_size: 28,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 6,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_parameters: { rope_theta: 10000 },
  tie_word_embeddings: false,
  initializer_range: 0.2, // ten times the usual: all parts of the gradient are then of one order
  qkv_bias: false,
  o_bias: false,
  mlp_bias: false,
  qk_norm: false,
};
export const ADAM = { adam_beta1: 0.9, adam_beta2: 0.95, adam_epsilon: 1e-8, weight_decay: 0.1 };

export interface Options {
  readonly config?: Partial<LlamaConfig>;
  readonly target?: KernelTarget;
  readonly B?: number;
  readonly T?: number;
  readonly accumulate?: number;
  readonly max_grad_norm?: number;
  readonly gradient_checkpointing?: boolean;
  readonly frozen?: RegExp;
  readonly optim?: OptimizerName;
  readonly activations?: "f32" | "bf16";
}

/** The model with all parameters that match made frozen. */
export const frozenLlama = (config: LlamaConfig, frozen: RegExp): Llama =>
  freeze(LLAMA.create(config, { type: "f32" }), {
    trains: ({ value }) => !frozen.test(value.label),
    storedAs: () => "f32",
    quantized: undefined,
  });

export function recordLlama(
  {
    config,
    target = "portable",
    B = 2,
    T = 9,
    accumulate = 1,
    max_grad_norm = 0,
    gradient_checkpointing = false,
    frozen = /^never$/,
    optim = "adamw",
    activations = "f32",
  }: Options,
): {
  model: Llama;
  train: TrainProgram;
  programs: Programs & { readonly generate: NonNullable<Programs["generate"]> };
} {
  const full = { ...CONFIG, ...config }, model = frozenLlama(full, frozen);
  const settings = {
    ...ADAM,
    momentum: 0.9,
    seed: 1,
    max_steps: 100,
    optim_target_modules: null,
    state_free_modules: [],
  };
  const optimizer = new Optimizer(trainedParameters(model), resolveOptimizer(optim, {}), settings);
  const common = { target, model, tables: tablesOf(model, T), B, T, activations };
  const train = recordTrain({
    ...common,
    gradient_accumulation_steps: accumulate,
    max_grad_norm,
    gradient_checkpointing,
    optimizer,
    metrics_rows: 4,
  });
  const programs = { train, evaluate: recordEvaluate(common), generate: recordGenerate(common)! };
  return { model, train, programs };
}

export async function trainLlama(
  options: Options,
): Promise<
  ReturnType<typeof recordLlama> & {
    readonly trainer: Trainer;
    readonly words: (tensors: Iterable<Tensor>) => Promise<Words[]>;
  }
> {
  const gpu = await testGpu();
  const recorded = recordLlama({ target: gpu.target, ...options });
  const trainer = await Trainer.create(gpu, recorded.model, recorded.programs, planPrograms(recorded.programs), {
    seed: 1,
  });
  return {
    ...recorded,
    trainer,
    words: (tensors) => Promise.all([...tensors].map((t) => trainer.executor.readWords(t))),
  };
}

/** Sequences of random tokens; every seventh label does not count. */
export function someBatch(seed: number, sequences: number, T = 9): Batch {
  const next = random(seed),
    ids = (): Words => Uint32Array.from({ length: sequences * T }, () => Math.floor(next() * CONFIG.vocab_size));
  return { input_ids: ids(), labels: ids().map((label, i) => (i % 7 === 6 ? 0xffffffff : label)) };
}
