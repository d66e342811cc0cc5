import { assertEquals, random, test } from "../harness.ts";
import { matmul as reference, type MatmulSize, type Reals } from "../reference/ops.ts";
import { TOLERANCES } from "../tolerances.ts";
import { linear } from "../../src/ops/linear.ts";
import { matmul } from "../../src/ops/matmul.ts";
import type { MatmulMode } from "../../src/ops/matmul_operands.ts";
import { Recorder } from "../../src/plan/recorder.ts";
import type { Tensor } from "../../src/plan/tensor.ts";
import { type Floats, given, runAll } from "./run_recorded.ts";
import { checkOps, type Expected, type OpCase } from "./run_op.ts";
import { absolute, uniform } from "./values.ts";

/** Around the tiles of any kernel here (8, 16, 32, 64, 128), primes, and ones; [M, N, K]. */
const SIZES: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [1, 2, 3],
  [3, 1, 2],
  [2, 3, 1],
  [7, 8, 9],
  [9, 7, 8],
  [8, 9, 7],
  [15, 16, 17],
  [17, 15, 16],
  [16, 17, 15],
  [31, 32, 33],
  [33, 31, 32],
  [32, 33, 31],
  [63, 64, 65],
  [65, 63, 64],
  [64, 65, 63],
  [127, 128, 129],
  [129, 127, 128],
  [128, 129, 127],
  [64, 64, 64],
  [80, 128, 144],
  [1, 128, 64],
  [128, 1, 64],
  [64, 64, 1],
  [1, 1, 2179],
  [4, 315, 12],
  [315, 4, 3],
  [5, 7, 315],
  [2, 2, 1031],
];

function product(mode: MatmulMode, a: Reals, b: Reals, size: MatmulSize): Expected {
  return {
    value: reference(mode, a, b, size),
    scale: reference(mode, absolute(a), absolute(b), size),
    tolerance: TOLERANCES.matmul,
    terms: size.K,
  };
}

const plus = (x: Expected, y: Expected): Expected => ({
  ...x,
  value: x.value.map((value, i) => value + y.value[i]!),
  scale: x.scale!.map((scale, i) => scale + y.scale![i]!),
  terms: Math.max(x.terms!, y.terms!),
});

const itself = (value: Reals): Expected => ({ value, scale: absolute(value), tolerance: TOLERANCES.matmul, terms: 1 });

/** y = x Wᵀ and both gradients: every mode of the matmul. `M` rows, `N` outputs. */
function linearCase(M: number, N: number, K: number): OpCase {
  const next = random(M * 1e6 + N * 1e3 + K);
  const x = uniform(next, M * K), w = uniform(next, N * K), dy = uniform(next, M * N);
  return {
    name: `linear (${M}, ${K}) -> ${N}`,
    variables: { x: { shape: [M, K], values: x }, w: { shape: [N, K], values: w } },
    record: (r, { x, w }) => ({ y: linear(r, x!, w!) }),
    seeds: { y: dy },
    expected: {
      y: product("NT", x, w, { M, N, K }),
      dx: product("NN", dy, w, { M, N: K, K: N }),
      dw: product("TN", dy, x, { M: N, N: K, K: M }),
    },
  };
}

/** Small whole numbers, so that a product is exact whatever the order of its sums. */
const whole = (length: number, factor: number): Floats =>
  Float32Array.from({ length }, (_, i) => ((i * factor) % 7) - 3);

/** A product of whole numbers, the tile that computes it, and what it should be. */
function wholeProduct(mode: MatmulMode, M: number, N: number, K: number) {
  const r = new Recorder({ target: "tiled", training: false }), written = new Map<Tensor, Floats>();
  const a = given(written, "a", [M, K], whole(M * K, 3)).value, b = given(written, "b", [N, K], whole(N * K, 5)).value;
  const out = r.tensor("out", [M, N]);
  matmul(r, mode, { a, b, target: { tensor: out, accumulate: false } }, { M, N, K });
  const { BM, BN } = r.steps[0]!.kernel.constants;
  const [aRow, aStep] = mode[0] === "T" ? [1, M] : [K, 1], [bRow, bStep] = mode[1] === "T" ? [K, 1] : [1, N];
  const x = written.get(a)!, w = written.get(b)!;
  const expected = new Float32Array(M * N);
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += x[m * aRow + k * aStep]! * w[n * bRow + k * bStep]!;
      expected[m * N + n] = sum;
    }
  }
  const recorded = { program: { name: "product", steps: r.steps }, written, outputs: { out } };
  return { name: `${mode} in tiles of ${BM} x ${BN}`, recorded, expected };
}

test("the largest tiles, in every mode: none of M, N and K fills them", async () => {
  // 17 x 17 tiles of 128 x 128, of 64 x 128 and of 64 x 64: enough to choose them.
  const sides = [[2050, 2061], [1030, 2056], [1030, 1029]] as const;
  const cases = (["NT", "NN", "TN"] as const).flatMap((mode) => sides.map(([M, N]) => wholeProduct(mode, M, N, 11)));
  assertEquals(
    cases.map(({ name }) => name),
    ["NT", "NN", "TN"].flatMap((mode) =>
      ["128 x 128", "64 x 128", "64 x 64"].map((tile) => `${mode} in tiles of ${tile}`)
    ),
  );
  const results = await runAll(cases.map(({ recorded }) => recorded));
  cases.forEach(({ name, expected }, i) => {
    const wrong = results[i]!["out"]!.findIndex((value, at) => value !== expected[at]);
    assertEquals(wrong, -1, `${name}: the first wrong element`);
  });
});

test("linear(): outputs and gradients around every tile", async () => {
  await checkOps(SIZES.map((size) => linearCase(...size)));
});

/** Two layers of one weight and one input: the second gradient is added to the first. */
function accumulateCase(M: number, N: number, K: number): OpCase {
  const next = random(M);
  const x = uniform(next, M * K), w = uniform(next, N * K), dy = uniform(next, M * N), dz = uniform(next, M * N);
  const y = product("NT", x, w, { M, N, K });
  const dx = (d: Reals): Expected => product("NN", d, w, { M, N: K, K: N }),
    dw = (d: Reals): Expected => product("TN", d, x, { M: N, N: K, K: M });
  return {
    name: `linear twice (${M}, ${K}) -> ${N}`,
    variables: { x: { shape: [M, K], values: x }, w: { shape: [N, K], values: w } },
    record: (r, { x, w }) => ({ y: linear(r, x!, w!), z: linear(r, x!, w!) }),
    seeds: { y: dy, z: dz },
    expected: { y, z: y, dx: plus(dx(dy), dx(dz)), dw: plus(dw(dy), dw(dz)) },
  };
}

/**
 * y = residual + x Wᵀ. With `reused` the residual has a gradient already when y's arrives, so that it must be added.
 */
function residualCase(M: number, N: number, K: number, reused: boolean): OpCase {
  const next = random(M);
  const x = uniform(next, M * K),
    w = uniform(next, N * K),
    residual = uniform(next, M * N),
    dy = uniform(next, M * N),
    dz = uniform(next, M * N);
  const y = plus(product("NT", x, w, { M, N, K }), itself(residual));
  const expected = {
    y,
    dx: product("NN", dy, w, { M, N: K, K: N }),
    dw: product("TN", dy, x, { M: N, N: K, K: M }),
    dresidual: itself(dy),
  };
  const identity = Float64Array.from({ length: N * N }, (_, i) => (i % (N + 1) === 0 ? 1 : 0));
  return {
    name: `linear with residual (${M}, ${K}) -> ${N}${reused ? ", used again" : ""}`,
    variables: {
      x: { shape: [M, K], values: x },
      w: { shape: [N, K], values: w },
      residual: { shape: [M, N], values: residual },
      ...(reused && { identity: { shape: [N, N], values: identity, frozen: true } }),
    },
    record: (r, { x, w, residual, identity }) => ({
      y: linear(r, x!, w!, { residual: residual! }),
      ...(identity && { z: linear(r, residual!, identity) }),
    }),
    seeds: reused ? { y: dy, z: dz } : { y: dy },
    expected: reused ? { ...expected, z: itself(residual), dresidual: plus(itself(dy), itself(dz)) } : expected,
  };
}

test("linear(): a second use adds to the gradients, a residual is added and passes its gradient on", async () => {
  const sizes = [[1, 1, 1], [3, 5, 7], [17, 33, 9], [65, 64, 63], [130, 66, 5], [64, 80, 64]] as const;
  await checkOps(
    sizes.flatMap(([M, N, K]) => [accumulateCase(M, N, K), residualCase(M, N, K, false), residualCase(M, N, K, true)]),
  );
});

/** A product of ranges of rows, into a range of rows: the rest of `out` must keep its numbers. */
function offsetCase(
  mode: MatmulMode,
  { M, N, K }: MatmulSize,
  offsets: readonly [number, number, number],
  accumulate: boolean,
): OpCase {
  const next = random(M + N + K), [a_offset, b_offset, out_offset] = offsets, after = 5;
  const a = uniform(next, a_offset + M * K + after),
    b = uniform(next, b_offset + N * K + after),
    out = uniform(next, out_offset + M * N + after);
  const inner = product(mode, a.slice(a_offset), b.slice(b_offset), { M, N, K });
  const value = out.slice(), scale = absolute(out);
  for (let i = 0; i < M * N; i++) {
    value[out_offset + i] = inner.value[i]! + (accumulate ? out[out_offset + i]! : 0);
    scale[out_offset + i] = inner.scale![i]! + (accumulate ? scale[out_offset + i]! : 0);
  }
  return {
    name: `matmul ${mode} (${M}, ${N}, ${K}) at ${offsets}${accumulate ? ", accumulated" : ""}`,
    variables: { out: { shape: [out.length], values: out } },
    inputs: { a, b },
    record: (r, { out }, { a, b }) => {
      matmul(r, mode, { a: a!, b: b!, target: { tensor: out!.value, accumulate } }, {
        M,
        N,
        K,
        a_offset,
        b_offset,
        out_offset,
      });
      return { out: out! };
    },
    expected: { out: { value, scale, tolerance: TOLERANCES.matmul, terms: K } },
  };
}

test("matmul(): offsets into a, b and out, odd ones too, and nothing written around the result", async () => {
  const cases: OpCase[] = [];
  // Sums as the head records them: a weight's gradient adds up over chunks of rows, a hidden state's is written in
  // chunks.
  for (const [mode, accumulate] of [["NT", false], ["NN", false], ["TN", true]] as const) {
    cases.push(
      offsetCase(mode, { M: 5, N: 7, K: 3 }, [3, 7, 11], accumulate),
      offsetCase(mode, { M: 64, N: 64, K: 32 }, [64, 128, 256], accumulate),
      offsetCase(mode, { M: 64, N: 64, K: 32 }, [1, 2, 3], accumulate),
      offsetCase(mode, { M: 33, N: 65, K: 17 }, [17, 65, 130], accumulate),
    );
  }
  await checkOps(cases);
});
