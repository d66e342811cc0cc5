// The benchmark's model and its training step, in jax-js.
//   Written to be the best form that we found for that library; what was tried, and lost, is listed in jax_js.ts.

import type { Jax, JaxArray } from "./jax_types.ts";
import { parameterShapes, type Work } from "./works.ts";

/** How tokens are embedded. A gather's gradient does not compile in Deno (naga), see jax_js.ts. */
export type Embedding = "one-hot" | "gather";

/** The values a step hands to the next: all parameters as one vector, its two moments, and the count of steps. */
export type State = [parameters: JaxArray, first: JaxArray, second: JaxArray, count: JaxArray];

/** Arguments of a step that stay the same: rotary tables, and the weight decay of each parameter. */
export type Constants = { readonly cos: JaxArray; readonly sin: JaxArray; readonly decay: JaxArray };

type Weights = { [name: string]: JaxArray };

/**
 * Where each weight lies in the vector of parameters, which has the order of the checkpoint. Neighbours of one shape
 * are taken as one: q, k, v as (3, C, C) and gate, up as (2, F, C), each then one product instead of three or two.
 */
function layout(work: Work): { name: string; shape: number[]; size: number }[] {
  const groups: { name: string; shape: number[]; size: number }[] = [];
  for (const [name, shape] of parameterShapes(work)) {
    const size = shape.reduce((a, b) => a * b, 1);
    const last = groups.at(-1);
    const joins = name.endsWith("k_proj.weight") || name.endsWith("v_proj.weight") || name.endsWith("up_proj.weight");
    if (last && joins) {
      last.shape = [last.size / size + 1, ...shape];
      last.size += size;
    } else {
      groups.push({ name, shape, size });
    }
  }
  return groups;
}

/** Rotary tables (T, 1, 2, D/2); the sign of the half that turns the other way is in `sin`. */
export function rotaryTables(work: Work): { cos: Float32Array; sin: Float32Array; shape: number[] } {
  const T = work.max_length;
  const D = work.hidden_size / work.num_attention_heads;
  const cos = new Float32Array(T * D);
  const sin = new Float32Array(T * D);
  for (let i = 0; i < T * D; i++) {
    const d = i % D;
    const angle = Math.floor(i / D) * work.rope_theta ** (-(2 * (d % (D / 2))) / D);
    cos[i] = Math.cos(angle);
    sin[i] = d < D / 2 ? -Math.sin(angle) : Math.sin(angle);
  }
  return { cos, sin, shape: [T, 1, 2, D / 2] };
}

/** Mean next-token cross-entropy, as a function of the weights. */
function lossOf({ numpy: np, nn }: Jax, work: Work, embedding: Embedding) {
  const { hidden_size: C, vocab_size: V, max_length: T, per_device_train_batch_size: B } = work;
  const H = work.num_attention_heads;
  const D = C / H;
  if (work.num_key_value_heads !== H) {
    throw new RangeError("q, k and v are stacked here: use as many key as query heads");
  }

  const linear = (x: JaxArray, w: JaxArray) => np.einsum("bti,oi->bto", x, w);
  const stacked = (x: JaxArray, w: JaxArray) => np.einsum("bti,poi->pbto", x, w);
  const norm = (x: JaxArray, w: JaxArray) => {
    const mean = np.square(x.ref).mean(-1, { keepdims: true });
    return x.mul(np.reciprocal(np.sqrt(mean.add(work.rms_norm_eps)))).mul(w);
  };
  const heads = (x: JaxArray) => x.reshape([B, T, H, D]);
  // Swapping the halves by `flip` costs nothing in jax-js (a view that fuses), unlike slicing and concatenating.
  const rope = (x: JaxArray, { cos, sin }: { cos: JaxArray; sin: JaxArray }) => {
    const halves = x.reshape([B, T, H, 2, D / 2]);
    return heads(halves.ref.mul(cos.ref).add(np.flip(halves, 3).mul(sin.ref)));
  };

  return (p: Weights, tables: { cos: JaxArray; sin: JaxArray }, ids: JaxArray, labels: JaxArray): JaxArray => {
    const embed = p["model.embed_tokens.weight"]!;
    let x = embedding === "gather"
      ? embed.ref.slice(ids)
      : np.einsum("btv,vc->btc", nn.oneHot(ids.reshape([B * T]), V).reshape([B, T, V]), embed.ref);
    for (let layer = 0; layer < work.num_hidden_layers; layer++) {
      const w = (name: string) => p[`model.layers.${layer}.${name}.weight`]!;
      const qkv = stacked(norm(x.ref, w("input_layernorm")), w("self_attn.q_proj"));
      const q = rope(qkv.ref.slice(0), tables);
      const k = rope(qkv.ref.slice(1), tables);
      const v = heads(qkv.slice(2));
      const attended = nn.dotProductAttention(q, k, v, { isCausal: true }).reshape([B, T, C]);
      x = x.add(linear(attended, w("self_attn.o_proj")));

      const gateUp = stacked(norm(x.ref, w("post_attention_layernorm")), w("mlp.gate_proj"));
      const inner = nn.silu(gateUp.ref.slice(0)).mul(gateUp.slice(1));
      x = x.add(linear(inner, w("mlp.down_proj")));
    }
    const logits = linear(norm(x, p["model.norm.weight"]!), embed).reshape([B * T, V]);
    const hit = np.equal(labels.reshape([B * T, 1]), np.arange(V));
    return nn.logsumexp(logits.ref, -1).sub(np.where(hit, logits, 0).sum(-1)).mean();
  };
}

/** The whole training step, to be compiled by one `jit`: loss, gradients, clipping by global norm, AdamW. */
export function trainingStep(jax: Jax, work: Work, embedding: Embedding) {
  const { numpy: np } = jax;
  const { adam_beta1: beta1, adam_beta2: beta2 } = work;
  const lossAndGradients = jax.valueAndGrad(lossOf(jax, work, embedding));
  const groups = layout(work);

  return (state: State, { cos, sin, decay }: Constants, ids: JaxArray, labels: JaxArray): [JaxArray, State] => {
    const [p, m, v, count] = state;
    const weights: Weights = {};
    let at = 0;
    for (const { name, shape, size } of groups) {
      weights[name] = p.ref.slice([at, at + size]).reshape(shape);
      at += size;
    }
    const [loss, gradients] = lossAndGradients(weights, { cos, sin }, ids, labels);
    const g = np.concatenate(groups.map(({ name }) => gradients[name]!.ravel()));

    // Squares are summed row by row first: one reduction of the whole vector would run on one workgroup.
    const norm = np.sqrt(np.square(g.ref.reshape([-1, work.hidden_size])).sum(-1).sum());
    const clipped = g.mul(np.minimum(np.reciprocal(norm.add(1e-6)).mul(work.max_grad_norm), 1));
    const t = count.add(1);
    const correction1 = np.subtract(1, np.exp(t.ref.mul(Math.log(beta1))));
    const correction2 = np.subtract(1, np.exp(t.ref.mul(Math.log(beta2))));
    const m2 = m.mul(beta1).add(clipped.ref.mul(1 - beta1));
    const v2 = v.mul(beta2).add(np.square(clipped).mul(1 - beta2));
    const direction = m2.ref.div(correction1).div(np.sqrt(v2.ref.div(correction2)).add(work.adam_epsilon));
    const p2 = p.ref.sub(direction.add(p.mul(decay)).mul(work.learning_rate));
    return [loss, [p2, m2, v2, t]];
  };
}
