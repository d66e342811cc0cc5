// Power iteration against singular vectors in f64, and the bases that it must leave alone.

import { assert, assertEquals, assertThrows, random, test } from "../../harness.ts";
import { testTargets, type Words } from "../../ops/run_op.ts";
import { uniform } from "../../ops/values.ts";
import { matmul, type Reals } from "../../reference/ops.ts";
import { gramSchmidt, svd, transpose } from "../../reference/svd.ts";
import type { KernelTarget } from "../../../src/gpu/device.ts";
import { type BasisSide, powerIteration, randomOrthogonal } from "../../../src/optim/split/basis/power_iteration.ts";
import { stepInputsTensor } from "../../../src/optim/step/step_inputs.ts";
import { Recorder } from "../../../src/plan/recorder.ts";
import {
  type Data,
  floats,
  orthonormalityError,
  portable,
  realsOf,
  runTurns,
  spanError,
  stepInputWords,
  withPrograms,
} from "./run_basis.ts";

const STREAM = { seed: 1, purpose: "basis" };

/** A matrix (m, n) of these singular values and random singular vectors, its numbers exact in f32. */
function matrixOf(next: () => number, m: number, n: number, values: readonly number[]): Reals {
  const k = values.length, u = gramSchmidt(uniform(next, m * k), k), v = gramSchmidt(uniform(next, n * k), k);
  return matmul("NT", u.map((x, at) => x * values[at % k]!), v, { M: m, N: n, K: k }).map(Math.fround);
}

/** The leading singular vectors (d, k) of the side that a basis multiplies. */
function leading(gradient: Reals, n: number, side: BasisSide, k: number): Reals {
  const d = side === "right" ? n : gradient.length / n,
    { v } = svd(side === "right" ? gradient : transpose(gradient, n), d);
  return Float64Array.from({ length: d * k }, (_, at) => v[Math.floor(at / k) * d + (at % k)]!);
}

interface Case {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly side: BasisSide;
}

interface Refresh {
  readonly gradient: Reals;
  readonly cold?: boolean;
  readonly drawn?: number;
}

/** The basis after each refresh. */
function refresh(target: KernelTarget, { m, n, k, side }: Case, turns: readonly Refresh[]): Promise<Words[]> {
  const gradient = floats("gradient", m, n),
    basis = floats("basis", side === "right" ? n : m, k),
    step_inputs = stepInputsTensor("step inputs");
  const records = [true, false].map((cold) => (r: Recorder) =>
    powerIteration(r, gradient, basis, side, step_inputs, { ...STREAM, cold })
  );
  return withPrograms(target, records, async (executor, [coldProgram, warmProgram]) => {
    const results: Words[] = [];
    for (const { gradient: values, cold = false, drawn = 0 } of turns) {
      const written = new Float32Array(values);
      executor.write(step_inputs, stepInputWords({ drawn }));
      executor.write(gradient, written);
      executor.run(cold ? coldProgram! : warmProgram!);
      results.push(await executor.readWords(basis));
      assertEquals(await executor.readWords(gradient), new Uint32Array(written.buffer), "the gradient is only read");
    }
    return results;
  });
}

const CASES: readonly Case[] = [
  { m: 33, n: 21, k: 4, side: "right" },
  { m: 21, n: 33, k: 4, side: "left" },
  { m: 17, n: 64, k: 4, side: "right" },
  { m: 40, n: 12, k: 4, side: "left" },
];
const GAPPED = [8, 4, 2, 1, 0.1, 0.08, 0.06, 0.04, 0.02, 0.01];

test("powerIteration(): finds the singular vectors behind a gap, one by one", async () => {
  for (const target of await testTargets()) {
    for (const one of target === "tiled" ? CASES.slice(0, 2) : CASES) {
      const gradient = matrixOf(random(one.m), one.m, one.n, GAPPED),
        expected = leading(gradient, one.n, one.side, one.k);
      const results = await refresh(target, one, [{ gradient, cold: true }, ...Array(9).fill({ gradient })]),
        where = `${target}, ${JSON.stringify(one)}`;
      const last = realsOf(results.at(-1)!);
      // Each iteration leaves a hundredth of the part beyond the gap; rounding turns the last vector by EPS times
      // 8 / 1.
      const span = spanError(last, expected, one.k);
      assert(span < 2e-6, `${where}: the span is off by ${span}`);
      assert(orthonormalityError(last, one.k) < 1e-5, `${where}: orthonormal`);
      for (let c = 0; c < one.k; c++) {
        let cosine = 0;
        for (let at = c; at < last.length; at += one.k) cosine += last[at]! * expected[at]!;
        // A neighbour's share shrinks by (1 / 2)² an iteration: by 4^-11 after a cold start of two and nine more.
        assert(
          Math.abs(Math.abs(cosine) - 1) < 1e-5,
          `${where}: column ${c} has cosine ${cosine} with singular vector ${c}`,
        );
      }
    }
  }
});

/** Energy of a gradient in a basis of its rows, as a share of the most that k directions can hold. */
function capturedShare(gradient: Reals, basis: Reals, { m, n, k }: Case): number {
  const energy = matmul("NN", gradient, basis, { M: m, N: k, K: n }).reduce((sum, x) => sum + x * x, 0);
  return energy / svd(gradient, n).values.slice(0, k).reduce((sum, x) => sum + x * x, 0);
}

test(
  "powerIteration(): a cold start captures nearly what the singular vectors would, and a warm one " +
    "follows a drift",
  async () => {
    const one: Case = { m: 96, n: 64, k: 16, side: "right" }, next = random(7);
    // Three decades, as gradients have; the flatter a spectrum, the more iterations it takes, in f64 as well.
    const gradient = matrixOf(next, one.m, one.n, Array.from({ length: one.n }, () => 0.001 ** next())),
      drift = uniform(next, gradient.length, 0.02);
    const moved = gradient.map((x, i) => Math.fround(x + drift[i]!));
    const [cold, warm] = (await refresh(await portable(), one, [{ gradient, cold: true }, { gradient: moved }])).map(
      realsOf,
    ) as [Reals, Reals];
    for (const [name, from, basis] of [["cold", gradient, cold], ["warm", moved, warm]] as const) {
      const share = capturedShare(from, basis, one);
      assert(share >= 0.98 && share < 1 + 1e-5, `${name}: captured energy is ${share} of the most that is possible`);
    }
  },
);

test("powerIteration(): iterates as Gram-Schmidt in f64 does, on a flat spectrum too", async () => {
  const one: Case = { m: 96, n: 64, k: 16, side: "right" }, { m, n, k } = one, next = random(7);
  const gradient = matrixOf(next, m, n, Array.from({ length: n }, next)), zero = gradient.map(() => 0);
  const [start, basis] = (await refresh(await portable(), one, [{ gradient: zero, cold: true }, { gradient }])).map(
    realsOf,
  ) as [Reals, Reals];
  const z = gramSchmidt(matmul("NN", gradient, start, { M: m, N: k, K: n }), k);
  const error = spanError(basis, gramSchmidt(matmul("TN", gradient, z, { M: n, N: k, K: m }), k), k);
  // The largest seen is 2e-7.
  assert(error < 2e-6, `the span is off by ${error}`);
});

test("powerIteration(): a gradient without directions keeps the basis, bit for bit", async () => {
  for (const one of CASES.slice(0, 2)) {
    const gradient = matrixOf(random(8), one.m, one.n, GAPPED), zero = gradient.map(() => 0);
    const nan = gradient.map((x, i) => (i === 40 ? NaN : x)),
      infinite = gradient.map((x, i) => (i === 1 ? Infinity : x));
    const turns = [{ gradient, cold: true }, ...[zero, nan, infinite, gradient].map((gradient) => ({ gradient })), {
      gradient: zero,
      cold: true,
    }, { gradient: nan, cold: true, drawn: 200 }];
    const [first, afterZero, afterNan, afterInfinite, moved, ...drawn] = await refresh(
      await portable(),
      one,
      turns,
    ) as [Words, Words, Words, Words, Words, Words, Words];
    for (const basis of [afterZero, afterNan, afterInfinite]) {
      assertEquals(basis, first, `${one.side}: the basis after a bad gradient`);
    }
    assert(moved.some((word, i) => word !== first[i]), `${one.side}: a good gradient moves the basis again`);
    for (const basis of drawn) {
      assert(orthonormalityError(realsOf(basis), one.k) < 1e-5, `${one.side}: a cold start leaves the random basis`);
    }
    assert(
      drawn[0].every((word, i) => word !== drawn[1][i]),
      `${one.side}: which is another one when drawn at another step`,
    );
  }
});

test(
  "powerIteration(): a gradient of lower rank than the basis gives an orthonormal basis that holds " +
    "its directions",
  async () => {
    const one: Case = { m: 48, n: 32, k: 8, side: "right" }, gradient = matrixOf(random(9), one.m, one.n, [2, 1, 0.5]);
    const bases = (await refresh(await portable(), one, [{ gradient, cold: true }, { gradient }])).map(realsOf),
      wanted = leading(gradient, one.n, one.side, 3);
    for (const basis of bases) {
      assert(orthonormalityError(basis, one.k) < 1e-5, "orthonormal");
      const inside = matmul("TN", basis, wanted, { M: one.k, N: 3, K: one.n }).reduce((sum, x) => sum + x * x, 0);
      // The squared lengths of three unit vectors after projection.
      assert(Math.abs(inside - 3) < 1e-4, `the basis holds ${inside} of 3 directions`);
    }
  },
);

test("randomOrthogonal(): orthonormal at any shape, square too; another basis for each step_inputs.drawn", async () => {
  for (const [d, k] of [[5, 1], [33, 7], [32, 32], [96, 96]] as const) {
    const basis = floats("basis", d, k), step_inputs = stepInputsTensor("step inputs");
    const turns = [0, 0, 50].map((drawn) => new Map<typeof basis, Data>([[step_inputs, stepInputWords({ drawn })]]));
    const [[first], [again], [later]] = await runTurns(
      await portable(),
      (r) => randomOrthogonal(r, basis, step_inputs, STREAM),
      turns,
      [basis],
    ) as [[Words], [Words], [Words]];
    assertEquals(again, first, "the same step again");
    for (const bits of [first, later]) {
      assert(orthonormalityError(realsOf(bits), k) < 1e-5, `(${d}, ${k}) is orthonormal`);
    }
    assert(first.some((word, i) => word !== later[i]), "another step, another basis");
  }
});

test("powerIteration(): refuses a basis that does not fit", () => {
  const r = new Recorder({ target: "portable", training: true }),
    gradient = floats("g", 6, 4),
    step_inputs = stepInputsTensor("step inputs");
  const record = (side: BasisSide, d: number, k: number) => () =>
    powerIteration(r, gradient, floats("p", d, k), side, step_inputs, { ...STREAM, cold: false });
  assertThrows(record("right", 6, 2), "Cannot refresh p (6,2) from the right of g (6,4): expected (4, at most 4)");
  assertThrows(record("left", 6, 5), "Cannot refresh p (6,5) from the left of g (6,4): expected (6, at most 4)");
});
