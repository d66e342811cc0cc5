// Launches of more than 65 535 workgroups, which the host spreads over two dimensions: every kernel, at the least work
// for it.

import { assert, random, test } from "../harness.ts";
import * as reference from "../reference/ops.ts";
import { TOLERANCES } from "../tolerances.ts";
import { attention } from "../../src/ops/attention.ts";
import { crossEntropy } from "../../src/ops/cross_entropy.ts";
import { add, fill } from "../../src/ops/elementwise.ts";
import { embedding } from "../../src/ops/embedding.ts";
import { linear } from "../../src/ops/linear.ts";
import { rmsNorm } from "../../src/ops/rms_norm.ts";
import { rope } from "../../src/ops/rope.ts";
import { swiglu } from "../../src/ops/swiglu.ts";
import { packSchedule } from "../../src/optim/step/schedule.ts";
import { affordableVariants, checkOps, type Expected, type OpCase, recordCase } from "./run_op.ts";
import { absolute, integers, uniform } from "./values.ts";

const GROUPS = 65535;
/**
 * Elements that need more groups than one dimension has, with 64 threads or 16 a group; odd, so that the last group is
 * not full.
 */
const OF_64 = 64 * GROUPS + 65, OF_16 = 16 * GROUPS + 17;

const exactly = (value: reference.Reals): Expected => ({ value, tolerance: TOLERANCES.exact });

/** Random enough, and fast: these tests are about places, not about rounding. */
const values = (seed: number, length: number): reference.Reals => {
  const few = uniform(random(seed), 1021), many = reference.zeros(length);
  for (let i = 0; i < length; i++) many[i] = few[i % 1021]!;
  return many;
};

async function checkLarge(one: OpCase, kernels: readonly string[]): Promise<void> {
  const { steps } = recordCase(one, "portable").program;
  const spread = steps.filter(({ dispatchSize }) => dispatchSize[1] > 1).map(({ kernel }) => kernel.name);
  for (const name of kernels) {
    assert(
      spread.includes(name),
      `${one.name}: ${name} must need more than ${GROUPS} workgroups; those that do: [${spread}]`,
    );
  }
  await checkOps([one], await affordableVariants());
}

test("add(), its gradients and fill() past 65 535 workgroups", async () => {
  const n = OF_64, x = values(1, n), y = values(2, n), dz = values(3, n);
  await checkLarge({
    name: "large add",
    variables: { x: { shape: [n], values: x, frozen: true }, y: { shape: [n], values: y } },
    record: (r, { x, y }) => {
      const filled = { value: r.tensor("filled", [n], "scratch"), needsGradient: false };
      fill(r, filled.value, 0.5);
      return { z: add(r, x!, y!), filled };
    },
    seeds: { z: dz },
    expected: {
      z: { value: reference.add(x, y), tolerance: TOLERANCES.add },
      filled: exactly(x.map(() => 0.5)),
      dy: exactly(dz),
    },
  }, ["add", "accumulate", "fill"]);
});

test("swiglu() past 65 535 workgroups", async () => {
  const n = OF_64, gate = values(4, n), up = values(5, n), dy = values(6, n);
  const { dgate, dup } = reference.swigluBackward(gate, up, dy);
  const close = (value: reference.Reals, i: number): Expected => ({
    value,
    scale: value.map(() => i),
    tolerance: TOLERANCES.swiglu,
  });
  await checkLarge({
    name: "large swiglu",
    variables: { gate: { shape: [n], values: gate }, up: { shape: [n], values: up } },
    record: (r, { gate, up }) => ({ y: swiglu(r, gate!, up!) }),
    seeds: { y: dy },
    expected: { y: close(reference.swiglu(gate, up), 1), dgate: close(dgate, 1), dup: close(dup, 1) },
  }, ["swiglu", "swiglu_backward"]);
});

test("linear() past 65 535 workgroups, tall and wide, K = 1", async () => {
  for (const [M, N] of [[OF_64, 1], [1, OF_64]] as const) {
    const x = values(7, M), w = values(8, N), y = reference.matmul("NT", x, w, { M, N, K: 1 });
    await checkLarge({
      name: `large linear (${M}, 1) -> ${N}`,
      variables: { x: { shape: [M, 1], values: x, frozen: true }, w: { shape: [N, 1], values: w, frozen: true } },
      record: (r, { x, w }) => ({ y: linear(r, x!, w!) }),
      expected: { y: { value: y, tolerance: TOLERANCES.matmul } },
    }, ["matmul"]);
  }
});

test("embedding() past 65 535 workgroups", async () => {
  const N = 2053, C = 2047, V = 3, ids = integers(random(9), N, V), weight = values(10, V * C), dy = values(11, N * C);
  // One row after another: the order is free, the sums are checked by the tolerance.
  const order = Uint32Array.from(ids.keys()).sort((a, b) => ids[a]! - ids[b]! || a - b);
  const starts = [0, 1, 2].map((id) => ids.reduce((count, other) => count + Number(other < id), 0));
  const segment_ids = new Uint32Array(N).fill(0xffffffff), segment_offsets = new Uint32Array(N + 1).fill(N);
  segment_ids.set([0, 1, 2]);
  segment_offsets.set(starts);
  await checkLarge({
    name: "large embedding",
    variables: { weight: { shape: [V, C], values: weight } },
    inputs: { ids, order, segment_ids, segment_offsets },
    record: (r, { weight }, { ids, order, segment_ids, segment_offsets }) => ({
      y: embedding(r, weight!, ids!, { order: order!, segment_ids: segment_ids!, segment_offsets: segment_offsets! }),
    }),
    seeds: { y: dy },
    expected: {
      y: exactly(reference.embedding(weight, ids, C)),
      dweight: {
        value: reference.embeddingBackward(dy, ids, V, C),
        scale: reference.embeddingBackward(absolute(dy), ids, V, C),
        tolerance: TOLERANCES.embedding,
        terms: N,
      },
    },
  }, ["embedding", "embedding_backward"]);
});

test("rmsNorm() past 65 535 workgroups of rows", async () => {
  const n = OF_16,
    x = values(12, n),
    weight = Float64Array.of(0.75),
    dy = values(14, n),
    tolerance = TOLERANCES.rmsNorm;
  await checkLarge({
    name: "large rmsNorm",
    variables: { x: { shape: [n, 1], values: x }, weight: { shape: [1], values: weight, frozen: true } },
    record: (r, { x, weight }) => ({ y: rmsNorm(r, x!, weight!, 1e-5) }),
    seeds: { y: dy },
    expected: {
      y: { value: reference.rmsNorm(x, weight, 1e-5), tolerance },
      dx: {
        value: reference.rmsNormBackward(x, weight, 1e-5, dy).dx,
        scale: reference.rmsNormBackward(x, weight, 1e-5, dy, true).dx,
        tolerance,
      },
    },
  }, ["rms_norm", "rms_norm_backward"]);
});

test("rope() and attention() past 65 535 workgroups", async () => {
  const N = OF_64, table = Float64Array.of(0, 1, 1, 0, -1, 0); // three positions: a quarter, none and half a turn
  const B = Math.ceil(N / 6), q = values(15, 6 * B);
  const turn = (x: reference.Reals, inverse: boolean): Expected =>
    exactly(reference.rope(x, table, { T: 3, heads: 1, D: 2 }, inverse));
  const keys = values(17, 6 * B);
  await checkLarge({
    name: "large rope",
    variables: { q: { shape: [3 * B, 2], values: q }, k: { shape: [3 * B, 2], values: keys } },
    inputs: { table },
    shapes: { table: [3, 2, 1] },
    record: (r, { q, k }, { table }) => {
      rope(r, q!, k!, table!);
      return { q: q!, k: k! };
    },
    expected: { q: turn(q, false), k: turn(keys, false) },
  }, ["rope"]);

  // One position a sequence: the softmax of one key is 1, so out = v, dv = dout, and the scores have no gradient.
  const n = OF_16,
    v = values(18, n),
    dout = values(19, n),
    none = { ...exactly(v.map(() => 0)), tolerance: TOLERANCES.add, scale: v.map(() => 1) };
  await checkLarge({
    name: "large attention",
    variables: {
      q: { shape: [n, 1], values: values(20, n) },
      k: { shape: [n, 1], values: values(21, n) },
      v: { shape: [n, 1], values: v },
    },
    record: (r, { q, k, v }) => ({ out: attention(r, q!, k!, v!, { B: n, T: 1, H: 1, KV: 1, D: 1 }) }),
    seeds: { out: dout },
    expected: {
      out: { value: v, tolerance: TOLERANCES.attention },
      dq: none,
      dk: none,
      dv: { value: dout, tolerance: TOLERANCES.attention },
    },
  }, ["flash_attention", "flash_attention_query_backward", "flash_attention_key_backward"]);
});

test("crossEntropy() past 65 535 workgroups", async () => {
  const N = 1024 * 1024, labels = new Uint32Array(N); // one token only: the probability is 1, the loss 0
  const schedule = packSchedule({ learning_rate: 0, loss_scale: 1, metrics_row: 0 });
  await checkLarge({
    name: "large crossEntropy",
    variables: {
      hidden: { shape: [N, 1], values: values(22, N), frozen: true },
      weight: { shape: [1, 1], values: Float64Array.of(0.5), frozen: true },
      loss: { shape: [N], values: values(23, N) },
    },
    inputs: { labels, schedule },
    record: (r, { hidden, weight, loss }, { labels, schedule }) => {
      crossEntropy(r, hidden!, weight!, labels!, schedule!, { tensor: loss!.value, first: 0 });
      return { loss: loss! };
    },
    expected: {
      loss: { value: new Float64Array(N), scale: new Float64Array(N).fill(1), tolerance: TOLERANCES.crossEntropy },
    },
  }, ["cross_entropy"]);
});
