// The works that the benchmark times, as data, and the numbers both contestants start from.
//   Names are those of Hugging Face: LlamaConfig for the model, TrainingArguments and TRL for the training.
//   Tokens and weights come from one small seeded generator, so that both sides train the same numbers and
//   their loss curves can be laid over one another.

/** One benchmark work: a LLaMA-like decoder and how it is trained. */
export interface Work {
  /** A and B suit a software adapter; C is for a real GPU, and only run when asked for. */
  readonly name: "A" | "B" | "C";
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly vocab_size: number;
  readonly rms_norm_eps: number;
  readonly rope_theta: number;
  readonly tie_word_embeddings: true;
  readonly max_length: number;
  readonly per_device_train_batch_size: number;
  readonly learning_rate: number;
  readonly adam_beta1: number;
  readonly adam_beta2: number;
  readonly adam_epsilon: number;
  /** Applied to matrices (the tied embedding too), not to the norms' weights. */
  readonly weight_decay: number;
  readonly max_grad_norm: number;
}

const COMMON = {
  vocab_size: 256,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
  learning_rate: 1e-3,
  adam_beta1: 0.9,
  adam_beta2: 0.95,
  adam_epsilon: 1e-8,
  weight_decay: 0.1,
  max_grad_norm: 1,
} as const;

export const WORKS: Record<Work["name"], Work> = {
  A: {
    ...COMMON,
    name: "A",
    hidden_size: 64,
    intermediate_size: 256,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 4,
    max_length: 64,
    per_device_train_batch_size: 4,
  },
  B: {
    ...COMMON,
    name: "B",
    hidden_size: 128,
    intermediate_size: 512,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    num_key_value_heads: 4,
    max_length: 128,
    per_device_train_batch_size: 4,
  },
  // The size of GPT-2 small: 110 million parameters, as its head is tied and it has no table of positions.
  C: {
    ...COMMON,
    name: "C",
    vocab_size: 32000,
    hidden_size: 768,
    intermediate_size: 2048,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    num_key_value_heads: 12,
    max_length: 512,
    per_device_train_batch_size: 8,
  },
};

/** One initial tensor: f32, row-major. */
export interface InitialTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Uniform numbers in [0, 1) from mulberry32: a dozen lines, good enough for weights and toy tokens. */
function uniforms(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `length` draws of normal(0, deviation), by Box-Muller. */
function normals(length: number, deviation: number, uniform: () => number): Float32Array {
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    values[i] = deviation * radius * Math.cos(2 * Math.PI * uniform());
  }
  return values;
}

/** Names and shapes of the parameters, in the order of a Hugging Face checkpoint; matrices are (out, in). */
export function parameterShapes(work: Work): [name: string, shape: number[]][] {
  const { hidden_size: C, intermediate_size: F, vocab_size: V } = work;
  const headWidth = C / work.num_attention_heads;
  const keyWidth = headWidth * work.num_key_value_heads;
  const shapes: [string, number[]][] = [["model.embed_tokens.weight", [V, C]]];
  for (let layer = 0; layer < work.num_hidden_layers; layer++) {
    const prefix = `model.layers.${layer}`;
    shapes.push(
      [`${prefix}.input_layernorm.weight`, [C]],
      [`${prefix}.self_attn.q_proj.weight`, [C, C]],
      [`${prefix}.self_attn.k_proj.weight`, [keyWidth, C]],
      [`${prefix}.self_attn.v_proj.weight`, [keyWidth, C]],
      [`${prefix}.self_attn.o_proj.weight`, [C, C]],
      [`${prefix}.post_attention_layernorm.weight`, [C]],
      [`${prefix}.mlp.gate_proj.weight`, [F, C]],
      [`${prefix}.mlp.up_proj.weight`, [F, C]],
      [`${prefix}.mlp.down_proj.weight`, [C, F]],
    );
  }
  shapes.push(["model.norm.weight", [C]]);
  return shapes;
}

/** The weights both contestants start from: normal(0, 0.02) matrices, ones for the norms. */
export function initialWeights(work: Work): Map<string, InitialTensor> {
  const uniform = uniforms(1);
  const weights = new Map<string, InitialTensor>();
  for (const [name, shape] of parameterShapes(work)) {
    const length = shape.reduce((a, b) => a * b, 1);
    const data = shape.length === 1 ? new Float32Array(length).fill(1) : normals(length, 0.02, uniform);
    weights.set(name, { shape, data });
  }
  return weights;
}

/** One batch, (B, T) row-major. `labels` are already shifted: labels[i] is the token that follows input_ids[i]. */
export interface Batch {
  readonly input_ids: Int32Array<ArrayBuffer>;
  readonly labels: Int32Array<ArrayBuffer>;
}

/**
 * The batch of a step (counted from 0): rows of `next = 5 * token + 17 mod V` from a random start, broken one time in
 * ten by a random token. It has something to learn, so that a falling loss says that training works.
 */
export function tokenBatch(work: Work, step: number): Batch {
  const { per_device_train_batch_size: B, max_length: T, vocab_size: V } = work;
  const uniform = uniforms(1000 + step);
  const input_ids = new Int32Array(B * T);
  const labels = new Int32Array(B * T);
  for (let row = 0; row < B; row++) {
    let token = Math.floor(uniform() * V);
    for (let t = 0; t < T; t++) {
      input_ids[row * T + t] = token;
      token = uniform() < 0.1 ? Math.floor(uniform() * V) : (5 * token + 17) % V;
      labels[row * T + t] = token;
    }
  }
  return { input_ids, labels };
}
