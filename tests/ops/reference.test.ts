// Each hand-written backward of the reference against central differences of its forward, in f64: no GPU.

import { assert, assertClose, random, test } from "../harness.ts";
import * as activations from "../reference/activations.ts";
import { attention, attentionBackward } from "../reference/attention.ts";
import * as reference from "../reference/ops.ts";
import type { Reals } from "../reference/ops.ts";
import { uniform } from "./values.ts";

// Central differences in f64 with h = 1e-5: truncation h² f''' / 6 ~ 1e-10 and cancellation eps |L| / h ~ 1e-10.
const H = 1e-5;
const CLOSE = { relative: 1e-6, absolute: 1e-8 };

/** `backward` gives the gradients of sum(dy * forward(inputs)) for the inputs, in order. */
function checkBackward(
  name: string,
  inputs: readonly Reals[],
  forward: (inputs: readonly Reals[]) => Reals,
  backward: (inputs: readonly Reals[], dy: Reals) => readonly Reals[],
): void {
  const dy = uniform(random(7), forward(inputs).length);
  const loss = (): number => forward(inputs).reduce((sum, y, i) => sum + y * dy[i]!, 0);
  const gradients = backward(inputs, dy);
  assert(gradients.length === inputs.length, `${name}: one gradient for each input`);
  inputs.forEach((input, which) => {
    const slopes = input.map((value, i) => {
      const at = (x: number): number => (input[i] = x, loss());
      const slope = (at(value + H) - at(value - H)) / (2 * H);
      input[i] = value;
      return slope;
    });
    assertClose(gradients[which]!, slopes, { name: `${name} gradient ${which}`, ...CLOSE });
    assert(
      slopes.some((slope) => Math.abs(slope) > 1e-3),
      `${name} gradient ${which}: something must depend on the input`,
    );
  });
}

test("reference matmul: all three modes", () => {
  const next = random(1), size = { M: 3, N: 4, K: 2 };
  // out = A B in the three layouts; the gradients are matmuls in another layout each, as in src/ops/linear.ts.
  checkBackward(
    "NT",
    [uniform(next, 6), uniform(next, 8)],
    ([a, b]) => reference.matmul("NT", a!, b!, size),
    ([a, b], dy) => [
      reference.matmul("NN", dy, b!, { M: 3, N: 2, K: 4 }),
      reference.matmul("TN", dy, a!, { M: 4, N: 2, K: 3 }),
    ],
  );
  checkBackward(
    "NN",
    [uniform(next, 6), uniform(next, 8)],
    ([a, b]) => reference.matmul("NN", a!, b!, size),
    ([a, b], dy) => [
      reference.matmul("NT", dy, b!, { M: 3, N: 2, K: 4 }),
      reference.matmul("TN", a!, dy, { M: 2, N: 4, K: 3 }),
    ],
  );
});

test("reference matmul: known numbers", () => {
  const a = Float64Array.of(1, 2, 3, 4, 5, 6), b = Float64Array.of(1, 0, -1, 2, 1, 0);
  assertClose(reference.matmul("NT", a, b, { M: 2, N: 2, K: 3 }), [-2, 4, -2, 13], { name: "(2,3) (2,3)T" });
  assertClose(reference.matmul("NN", a, b, { M: 2, N: 2, K: 3 }), [2, 4, 5, 10], { name: "(2,3) (3,2)" });
  assertClose(reference.matmul("TN", a, b, { M: 2, N: 2, K: 3 }), [1 - 3 + 5, 0 + 6 + 0, 2 - 4 + 6, 0 + 8 + 0], {
    name: "(3,2)T (3,2)",
  });
});

test("reference embedding", () => {
  const ids = [2, 0, 2, 4], V = 5, C = 3;
  checkBackward(
    "embedding",
    [uniform(random(2), V * C)],
    ([weight]) => reference.embedding(weight!, ids, C),
    (_, dy) => [reference.embeddingBackward(dy, ids, V, C)],
  );
});

test("reference rmsNorm", () => {
  const next = random(3), eps = 0.1;
  checkBackward(
    "rmsNorm",
    [uniform(next, 12), uniform(next, 4)],
    ([x, weight]) => reference.rmsNorm(x!, weight!, eps),
    ([x, weight], dy) => {
      const { dx, dweight } = reference.rmsNormBackward(x!, weight!, eps, dy);
      return [dx, dweight];
    },
  );
});

test("reference layerNorm, bias and firstTokens", () => {
  const next = random(10), eps = 0.1;
  checkBackward(
    "layerNorm",
    [uniform(next, 12), uniform(next, 4), uniform(next, 4)],
    ([x, weight, bias]) => reference.layerNorm({ x: x!, weight: weight!, bias: bias!, eps }),
    ([x, weight, bias], dy) => {
      const { dx, dweight, dbias } = reference.layerNormBackward({ x: x!, weight: weight!, bias: bias!, eps }, dy);
      return [dx, dweight, dbias];
    },
  );
  const [x, ones, zero] = [Float64Array.of(1, 3, 1, 3), Float64Array.of(1, 1, 1, 1), new Float64Array(4)];
  assertClose(reference.layerNorm({ x, weight: ones, bias: zero, eps: 3 }), [-0.5, 0.5, -0.5, 0.5], {
    name: "mean 2, variance 1",
    relative: 1e-12,
  });
  checkBackward(
    "addBias",
    [uniform(next, 6), uniform(next, 3)],
    ([x, bias]) => reference.addBias(x!, bias!),
    (_, dy) => [dy, reference.biasBackward(dy, 3)],
  );
  checkBackward(
    "firstTokens",
    [uniform(next, 2 * 3 * 2)],
    ([x]) => reference.firstTokens(x!, 3, 2),
    (_, dy) => [reference.firstTokensBackward(dy, 3, 2)],
  );
  assertClose(reference.firstTokens(Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8), 2, 2), [1, 2, 5, 6], {
    name: "rows 0 and 2",
  });
});

test("reference gelu and tanh", () => {
  const next = random(11), x = uniform(next, 9, 4);
  for (const form of ["exact", "tanh"] as const) {
    checkBackward(
      `gelu ${form}`,
      [x],
      ([x]) => activations.gelu(x!, form),
      ([x], dy) => [activations.geluBackward(x!, form, dy)],
    );
  }
  checkBackward("tanh", [x], ([x]) => activations.tanh(x!), ([x], dy) => [activations.tanhBackward(x!, dy)]);
  // Tables of the normal distribution.
  const known = [[0, 0.5], [1, 0.8413447460685429], [-1, 0.15865525393145707], [-3, 0.0013498980316300933], [
    -6,
    9.865876450376946e-10,
  ], [-10, 7.619853024160489e-24]] as const;
  for (const [x, value] of known) {
    assertClose([activations.cumulativeNormal(x)], [value], { name: `cumulative normal of ${x}`, relative: 1e-12 });
  }
  assertClose(
    activations.gelu(x, "tanh"),
    x.map((v) => (v / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))),
    { name: "gelu_new as it is written", relative: 1e-11, absolute: 1e-15 },
  );
});

test("reference rope", () => {
  const size = { T: 2, heads: 3, D: 4 };
  const table = uniform(random(9), 2 * 4); // any pair of numbers does for a cosine and a sine
  checkBackward(
    "rope",
    [uniform(random(4), 2 * 2 * 3 * 4)],
    ([x]) => reference.rope(x!, table, size),
    (_, dy) => [reference.rope(dy, table, size, true)],
  );
  const turned = reference.rope(Float64Array.of(1, 2, 3, 4), Float64Array.of(0, 1, 1, 0), { T: 1, heads: 1, D: 4 });
  assertClose(turned, [-3, 2, 1, 4], { name: "a quarter turn of the pair (x0, x2)" });
});

test("reference attention", () => {
  const size = { B: 2, T: 3, H: 4, KV: 2, D: 3 }, next = random(5);
  const q = uniform(next, 2 * 3 * 4 * 3), k = uniform(next, 2 * 3 * 2 * 3), v = uniform(next, 2 * 3 * 2 * 3);
  checkBackward("attention", [q, k, v], ([q, k, v]) => attention({ q: q!, k: k!, v: v! }, size), ([q, k, v], dy) => {
    const { dq, dk, dv } = attentionBackward({ q: q!, k: k!, v: v! }, dy, size);
    return [dq, dk, dv];
  });
  // Equal keys share their weight: position t has the mean of the values up to t, of the head that serves the query
  // head.
  const means = attention({ q, k: k.fill(1), v }, size);
  const value = (b: number, t: number, head: number): number => v[((b * 3 + t) * 2 + head) * 3]!;
  for (const [h, head] of [[0, 0], [1, 0], [2, 1], [3, 1]] as const) {
    const at = ((1 * 3 + 1) * 4 + h) * 3;
    assertClose([means[at]!], [(value(1, 0, head) + value(1, 1, head)) / 2], { name: `head ${h}`, relative: 1e-12 });
  }
});

test("reference swiglu", () => {
  const next = random(6);
  checkBackward(
    "swiglu",
    [uniform(next, 9, 4), uniform(next, 9)],
    ([gate, up]) => reference.swiglu(gate!, up!),
    ([gate, up], dy) => {
      const { dgate, dup } = reference.swigluBackward(gate!, up!, dy);
      return [dgate, dup];
    },
  );
});

test("reference crossEntropy, with ignored labels", () => {
  const labels = [1, 0xffffffff, 4, 1], next = random(8);
  checkBackward("crossEntropy", [uniform(next, 4 * 3), uniform(next, 5 * 3)], ([hidden, weight]) => {
    return Float64Array.of(
      reference.crossEntropy({ hidden: hidden!, weight: weight!, labels }).reduce((a, b) => a + b, 0),
    );
  }, ([hidden, weight], dy) => {
    const { dhidden, dweight } = reference.crossEntropyBackward({ hidden: hidden!, weight: weight!, labels }, dy[0]!);
    return [dhidden, dweight];
  });
  const logits = uniform(next, 4 * 3);
  checkBackward(
    "crossEntropyOfLogits",
    [logits],
    ([x]) => reference.crossEntropyOfLogits(x!, [2, 0xffffffff, 0, 1], 1).loss,
    ([x], dy) => {
      const { dlogits } = reference.crossEntropyOfLogits(x!, [2, 0xffffffff, 0, 1], 1);
      return [dlogits.map((d, i) => d * dy[Math.floor(i / 3)]!)];
    },
  );
  const uniformLoss = reference.crossEntropy({
    hidden: Float64Array.of(0, 0),
    weight: uniform(next, 16),
    labels: [3, 9],
  });
  assertClose(uniformLoss, [Math.log(16), Math.log(16)], { name: "equal logits, C = 1", relative: 1e-12 });
  assert(
    reference.crossEntropy({ hidden: Float64Array.of(1, 2), weight: uniform(next, 4), labels: [4, 1] })[0] === 0,
    "a label of V is ignored",
  );
});
