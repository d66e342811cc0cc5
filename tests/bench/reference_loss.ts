// The specification of the benchmark's model: one forward pass in f64, obvious and slow.
//   Tells that a contestant trains the model it claims to train: its loss at step 1 must equal this one.

import { type Batch, initialWeights, type Work } from "./works.ts";

/** y (rows, out) = x (rows, in) Wᵀ, with W (out, in). */
function linear(x: Float64Array, w: Float32Array, rows: number, width: number): Float64Array {
  const out = w.length / width;
  const y = new Float64Array(rows * out);
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < out; o++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += x[r * width + i]! * w[o * width + i]!;
      y[r * out + o] = sum;
    }
  }
  return y;
}

/** y = weight * x / sqrt(mean(x²) + eps), row by row. */
function rmsNorm(x: Float64Array, weight: Float32Array, eps: number): Float64Array {
  const C = weight.length;
  return x.map((value, i) => {
    const row = x.subarray(i - (i % C), i - (i % C) + C);
    const mean = row.reduce((sum, v) => sum + v * v, 0) / C;
    return (weight[i % C]! * value) / Math.sqrt(mean + eps);
  });
}

/** Rotates each head of x (rows, heads * D) by its position, in the convention of Hugging Face (halves, not pairs). */
function rope(x: Float64Array, T: number, D: number, width: number, theta: number): Float64Array {
  return x.map((value, i) => {
    const d = i % D;
    const half = D / 2;
    const position = Math.floor(i / width) % T;
    const angle = position * theta ** (-(2 * (d % half)) / D);
    const other = d < half ? -x[i + half]! : x[i - half]!;
    return value * Math.cos(angle) + other * Math.sin(angle);
  });
}

/** Causal attention of one batch: q (B, T, H, D), k and v (B, T, KV, D) to (B, T, H, D). */
function attention(q: Float64Array, k: Float64Array, v: Float64Array, work: Work): Float64Array {
  const { per_device_train_batch_size: B, max_length: T, num_attention_heads: H, num_key_value_heads: KV } = work;
  const D = work.hidden_size / H;
  const out = new Float64Array(q.length);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      const kv = Math.floor(h / (H / KV));
      for (let t = 0; t < T; t++) {
        const at = ((b * T + t) * H + h) * D;
        const from = (s: number) => ((b * T + s) * KV + kv) * D;
        const scores = Array.from({ length: t + 1 }, (_, s) => {
          let sum = 0;
          for (let d = 0; d < D; d++) sum += q[at + d]! * k[from(s) + d]!;
          return Math.exp(sum / Math.sqrt(D)); // no maximum subtracted: these scores are small
        });
        const total = scores.reduce((a, s) => a + s, 0);
        scores.forEach((score, s) => {
          for (let d = 0; d < D; d++) out[at + d]! += (score / total) * v[from(s) + d]!;
        });
      }
    }
  }
  return out;
}

/** Mean next-token cross-entropy of `batch` under the initial weights, in f64. */
export function referenceLoss(work: Work, batch: Batch): number {
  const { hidden_size: C, intermediate_size: F, vocab_size: V, max_length: T, rms_norm_eps: eps } = work;
  const weights = initialWeights(work);
  const weight = (name: string) => weights.get(name)!.data;
  const rows = batch.input_ids.length;
  const D = C / work.num_attention_heads;

  const embed = weight("model.embed_tokens.weight");
  let x = new Float64Array(rows * C).map((_, i) => embed[batch.input_ids[Math.floor(i / C)]! * C + (i % C)]!);
  const add = (y: Float64Array) => x.map((value, i) => value + y[i]!);

  for (let layer = 0; layer < work.num_hidden_layers; layer++) {
    const of = (name: string) => weight(`model.layers.${layer}.${name}.weight`);
    const normed = rmsNorm(x, of("input_layernorm"), eps);
    const q = linear(normed, of("self_attn.q_proj"), rows, C);
    const k = linear(normed, of("self_attn.k_proj"), rows, C);
    const v = linear(normed, of("self_attn.v_proj"), rows, C);
    const turn = (y: Float64Array) => rope(y, T, D, y.length / rows, work.rope_theta);
    x = add(linear(attention(turn(q), turn(k), v, work), of("self_attn.o_proj"), rows, C));

    const normed2 = rmsNorm(x, of("post_attention_layernorm"), eps);
    const gate = linear(normed2, of("mlp.gate_proj"), rows, C);
    const up = linear(normed2, of("mlp.up_proj"), rows, C);
    x = add(linear(gate.map((g, i) => (g / (1 + Math.exp(-g))) * up[i]!), of("mlp.down_proj"), rows, F));
  }

  const logits = linear(rmsNorm(x, weight("model.norm.weight"), eps), embed, rows, C);
  let loss = 0;
  for (let r = 0; r < rows; r++) {
    const row = logits.subarray(r * V, (r + 1) * V);
    loss += Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0)) - row[batch.labels[r]!]!;
  }
  return loss / rows;
}
