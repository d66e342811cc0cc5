import { assert, random, test } from "../harness.ts";
import * as reference from "../reference/ops.ts";
import { TOLERANCES } from "../tolerances.ts";
import { IGNORED } from "../../src/data/ignored.ts";
import { crossEntropy, crossEntropyOfLogits } from "../../src/ops/cross_entropy.ts";
import { packSchedule } from "../../src/optim/step/schedule.ts";
import { affordableVariants, checkOps, type Expected, type OpCase, recordCase, type Words } from "./run_op.ts";
import { absolute, integers, uniform } from "./values.ts";

interface Options {
  /** Size of the hidden states: of the logits, up to the root of C. */
  readonly range?: number;
  readonly frozen?: readonly string[];
  readonly training?: boolean;
  /** Rows of the loss tensor before the first. */
  readonly first?: number;
}

/** Powers of two do not round. */
const LOSS_SCALE = 2 ** -6;
const schedule = packSchedule({ learning_rate: NaN, loss_scale: LOSS_SCALE, metrics_row: 0 });

function headCase(
  labels: Words,
  V: number,
  C: number,
  { range = 1, frozen = [], training = true, first = 0 }: Options = {},
): OpCase {
  const N = labels.length,
    next = random(N + V + C),
    hidden = uniform(next, N * C, range),
    weight = uniform(next, V * C);
  const gradients = reference.crossEntropyBackward({ hidden, weight, labels }, LOSS_SCALE);
  const scales = scalesOf({ hidden, weight, labels }, V, C);
  const close = (value: reference.Reals, scale: reference.Reals, terms: number): Expected => ({
    value,
    scale,
    tolerance: TOLERANCES.crossEntropy,
    terms,
  });
  const own = Float64Array.from({ length: first + N + 1 }, (_, i) => i);
  const losses = own.slice(), lossScale = own.slice();
  losses.set(reference.crossEntropy({ hidden, weight, labels }), first);
  lossScale.set(scales.loss, first);
  const isTrained = (name: string): boolean => training && !frozen.includes(name);
  return {
    name: `crossEntropy N ${N}, V ${V}, C ${C}, +-${range}${training ? "" : ", forward"}${
      frozen.length > 0 ? `, frozen ${frozen}` : ""
    }`,
    variables: {
      hidden: { shape: [N, C], values: hidden, frozen: frozen.includes("hidden") },
      weight: { shape: [V, C], values: weight, frozen: frozen.includes("weight") },
      // Longer than the losses at both ends: what lies around them must stay.
      loss: { shape: [own.length], values: own },
    },
    inputs: { labels, schedule },
    record: (r, { hidden, weight, loss }, { labels, schedule }) => {
      crossEntropy(r, hidden!, weight!, labels!, schedule!, { tensor: loss!.value, first });
      return { loss: loss! };
    },
    ...(training && { seeds: {} }),
    expected: {
      loss: close(losses, lossScale, C + V),
      ...(isTrained("hidden") && { dhidden: close(gradients.dhidden, scales.dhidden, C + V) }),
      ...(isTrained("weight") && { dweight: close(gradients.dweight, scales.dweight, C + V + N) }),
    },
  };
}

/**
 * A probability is off by the rounding of its logit and of exp, which grow with the logits' terms and with their
 * distance.
 */
function scalesOf(
  { hidden, weight, labels }: reference.Head,
  V: number,
  C: number,
): { loss: reference.Reals; dhidden: reference.Reals; dweight: reference.Reals } {
  const N = labels.length;
  const logits = reference.matmul("NT", hidden, weight, { M: N, N: V, K: C });
  const terms = reference.matmul("NT", absolute(hidden), absolute(weight), { M: N, N: V, K: C });
  const loss = reference.zeros(N), rough = reference.zeros(N * V);
  for (let row = 0; row < N; row++) {
    const label = labels[row]!, own = logits.subarray(row * V, (row + 1) * V), denominator = reference.logSumExp(own);
    let largest = 0;
    for (let v = 0; v < V; v++) largest = Math.max(largest, terms[row * V + v]!);
    if (label < V) loss[row] = 1 + 2 * largest + Math.abs(denominator);
    if (label < V) {
      for (let v = 0; v < V; v++) {
        const distance = Math.abs(own[v]! - denominator), probability = Math.exp(own[v]! - denominator);
        rough[row * V + v] = LOSS_SCALE * (probability * (1 + 2 * largest + distance) + (v === label ? 1 : 0));
      }
    }
  }
  return {
    loss,
    dhidden: reference.matmul("NN", rough, absolute(weight), { M: N, N: C, K: V }),
    dweight: reference.matmul("TN", rough, absolute(hidden), { M: V, N: C, K: N }),
  };
}

/** Random labels, every fifth ignored. */
const someLabels = (N: number, V: number): Words =>
  integers(random(N + V), N, V).map((label, i) => (i % 5 === 3 ? IGNORED : label));

test("crossEntropy(): losses and gradients for any number of rows, tokens and columns", async () => {
  const sizes = [
    [1, 1, 1],
    [1, 2, 3],
    [2, 1, 3],
    [3, 7, 2],
    [7, 3, 9],
    [8, 8, 8],
    [9, 15, 17],
    [15, 16, 5],
    [16, 17, 8],
    [17, 31, 33],
    [31, 32, 7],
    [33, 63, 4],
    [5, 64, 65],
    [64, 65, 3],
    [65, 127, 16],
    [20, 128, 64],
    [6, 129, 1],
    [63, 315, 12],
    [128, 33, 31],
    [3, 2179, 5],
  ] as const;
  await checkOps(sizes.map(([N, V, C]) => headCase(someLabels(N, V), V, C)));
});

test("crossEntropy(): ignored tokens have neither loss nor gradient", async () => {
  await checkOps([
    headCase(new Uint32Array(9).fill(IGNORED), 17, 4),
    headCase(Uint32Array.of(17, 18, 16, 0x80000000), 17, 4), // a label past the vocabulary counts no more than IGNORED
    headCase(Uint32Array.of(IGNORED, 0, IGNORED), 33, 3),
  ]);
});

test("crossEntropy(): logits of hundreds", async () => {
  await checkOps([
    headCase(someLabels(20, 65), 65, 16, { range: 100 }),
    headCase(someLabels(9, 7), 7, 3, { range: 300 }),
  ]);
});

test("crossEntropy(): forward alone, frozen operands, a place in a longer loss tensor", async () => {
  await checkOps([
    headCase(someLabels(21, 33), 33, 9, { training: false }),
    headCase(someLabels(21, 33), 33, 9, { frozen: ["hidden", "weight"] }),
    headCase(someLabels(21, 33), 33, 9, { frozen: ["hidden"] }),
    headCase(someLabels(21, 33), 33, 9, { frozen: ["weight"] }),
    headCase(someLabels(21, 33), 33, 9, { first: 13 }),
  ]);
});

const chunksOf = (one: OpCase): number =>
  recordCase(one, "portable").program.steps.filter(({ kernel }) => kernel.name.startsWith("cross_entropy")).length;

test("crossEntropy(): in chunks of rows, the last one smaller, gradients of the weight added up", async () => {
  const cases = [
    headCase(someLabels(50, 50257), 50257, 2),
    headCase(someLabels(6, 262144), 262144, 2),
    headCase(someLabels(5, 262143), 262143, 3),
  ];
  for (const one of cases) assert(chunksOf(one) > 1, `${one.name}: expected several chunks, found ${chunksOf(one)}`);
  await checkOps(cases, await affordableVariants());
});

test("crossEntropy(): a weight that two heads share gets both gradients", async () => {
  const labels = someLabels(10, 20), one = headCase(labels, 20, 6);
  const twice = (expected: Expected): Expected => ({
    ...expected,
    value: expected.value.map((d) => 2 * d),
    scale: expected.scale!.map((s) => 2 * s),
  });
  const { loss, dhidden, dweight } = one.expected;
  await checkOps([{
    ...one,
    name: `${one.name}, twice`,
    record: (r, { hidden, weight, loss }, { labels, schedule }) => {
      for (let use = 0; use < 2; use++) {
        crossEntropy(r, hidden!, weight!, labels!, schedule!, { tensor: loss!.value, first: 0 });
      }
      return { loss: loss! };
    },
    expected: { loss: loss!, dhidden: twice(dhidden!), dweight: twice(dweight!) },
  }]);
});

/** A classifier's logits: there before, and nothing computes them. */
function logitsCase(
  labels: Words,
  V: number,
  { range = 1, frozen = [], training = true, first = 0 }: Options = {},
): OpCase {
  const N = labels.length, logits = uniform(random(N + V), N * V, range);
  const { loss, dlogits } = reference.crossEntropyOfLogits(logits, labels, LOSS_SCALE);
  const own = Float64Array.from({ length: first + N + 1 }, (_, i) => i), losses = own.slice();
  losses.set(loss, first);
  const isTrained = training && frozen.length === 0;
  // exp is off by a share of its argument: the distance of two logits, 2 range at most.
  const scale = (value: reference.Reals): reference.Reals =>
    value.map((v, i) =>
      Math.abs(v) * (1 + 2 * range) + (labels[Math.floor(i / V)]! < V ? LOSS_SCALE * (1 + 2 * range) : 0)
    );
  return {
    name: `crossEntropyOfLogits N ${N}, V ${V}, +-${range}${training ? "" : ", forward"}${
      frozen.length > 0 ? ", frozen" : ""
    }`,
    variables: {
      logits: { shape: [N, V], values: logits, ...(frozen.length > 0 && { frozen: true }) },
      loss: { shape: [own.length], values: own },
    },
    inputs: { labels, schedule },
    record: (r, { logits, loss }, { labels, schedule }) => {
      crossEntropyOfLogits(r, logits!, labels!, schedule!, { tensor: loss!.value, first });
      return { loss: loss!, ...(!isTrained && { logits: logits! }) };
    },
    ...(training && { seeds: {} }),
    expected: {
      loss: {
        value: losses,
        scale: losses.map((value) => Math.abs(value) + 2 * range + 1),
        tolerance: TOLERANCES.crossEntropy,
        terms: V,
      },
      ...(isTrained
        ? { dlogits: { value: dlogits, scale: scale(dlogits), tolerance: TOLERANCES.crossEntropy, terms: V } }
        : { logits: { value: logits, tolerance: TOLERANCES.exact } }),
    },
  };
}

test("crossEntropyOfLogits(): losses, and gradients in the place of the logits", async () => {
  const sizes = [[1, 1], [1, 2], [3, 2], [8, 3], [7, 4], [33, 5], [16, 20], [65, 128], [9, 1031]] as const;
  await checkOps([
    ...sizes.map(([N, V]) => logitsCase(someLabels(N, V), V)),
    logitsCase(someLabels(17, 3), 3, { range: 50 }),
    logitsCase(someLabels(17, 4), 4, { first: 5 }),
    logitsCase(new Uint32Array(9).fill(IGNORED), 2),
    logitsCase(someLabels(17, 3), 3, { training: false }),
  ]);
});
