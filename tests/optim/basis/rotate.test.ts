// Moments in a new basis, against the formula in f64.

import { assert, assertClose, assertEquals, random, test } from "../../harness.ts";
import { testTargets } from "../../ops/run_op.ts";
import { absolute, uniform } from "../../ops/values.ts";
import { matmul, type Reals } from "../../reference/ops.ts";
import { gramSchmidt, transpose } from "../../reference/svd.ts";
import { EPS } from "../../tolerances.ts";
import type { KernelTarget } from "../../../src/gpu/device.ts";
import type { BasisSide } from "../../../src/optim/split/basis/power_iteration.ts";
import { rotateMoments } from "../../../src/optim/split/basis/rotate.ts";
import { stepInputsTensor } from "../../../src/optim/step/step_inputs.ts";
import type { Tensor } from "../../../src/plan/tensor.ts";
import { type Data, floats, portable, realsOf, runTurns, stepInputWords } from "./run_basis.ts";

const BETAS = { beta1: 0.9, beta2: 0.999 };
type Betas = typeof BETAS;

interface Moments {
  readonly before: Reals;
  readonly after: Reals;
  readonly m: Reals;
  readonly v: Reals;
}

/** Orthonormal bases (d, k), and moments (k, w) as after some gradients: v at least m². */
function momentsOf(seed: number, d: number, k: number, w: number): Moments {
  const next = random(seed), basis = (): Reals => gramSchmidt(uniform(next, d * k), k).map(Math.fround);
  const m = uniform(next, k * w), more = uniform(next, k * w);
  return { before: basis(), after: basis(), m, v: m.map((x, i) => Math.fround(0.01 * (x * x + Math.abs(more[i]!)))) };
}

/** The left's rotation after t steps; `size` of the terms that v is the sum of. */
function rotated(
  { before, after, m, v }: Moments,
  k: number,
  t: number,
  { beta1, beta2 }: Betas,
): { m: Reals; v: Reals; size: Reals } {
  const c1 = 1 - beta1 ** t, c2 = 1 - beta2 ** t, w = m.length / k;
  const turn = matmul("TN", after, before, { M: k, N: k, K: before.length / k }), shape = { M: k, N: w, K: k };
  const mean = matmul("NN", turn, m, shape), weights = turn.map((x) => x * x);
  const spread = matmul("NN", weights, v.map((x, i) => x / c2 - (m[i]! / c1) ** 2), shape);
  const terms = matmul("NN", weights, v.map((x, i) => x / c2 + (m[i]! / c1) ** 2), shape),
    means = matmul("NN", absolute(turn), absolute(m), shape);
  return {
    m: mean,
    v: spread.map((x, i) => Math.abs(c2 * (x + (mean[i]! / c1) ** 2))),
    size: terms.map((x, i) => c2 * (x + (means[i]! / c1) ** 2)),
  };
}

interface Turn {
  readonly moments: Moments;
  /** Steps done. */
  readonly t: number;
  readonly restart?: boolean;
}

/** The moments after rotation, given and returned as the left's. */
async function rotate(
  target: KernelTarget,
  side: BasisSide,
  k: number,
  turns: readonly Turn[],
  betas: Betas = BETAS,
  second = true,
): Promise<{ m: Reals; v: Reals }[]> {
  const { before: { length }, m: { length: n } } = turns[0]!.moments,
    w = n / k,
    shape = side === "left" ? [k, w] : [w, k];
  const step_inputs = stepInputsTensor("step inputs"),
    before = floats("before", length / k, k),
    after = floats("after", length / k, k),
    m = floats("m", ...shape),
    v = floats("v", ...shape);
  const across = (x: Reals): Float32Array<ArrayBuffer> => new Float32Array(side === "left" ? x : transpose(x, w));
  const written = turns.map(({ moments, t, restart = false }) =>
    new Map<Tensor, Data>([
      [before, new Float32Array(moments.before)],
      [after, new Float32Array(moments.after)],
      [m, across(moments.m)],
      ...(second ? [[v, across(moments.v)] as const] : []),
      [
        step_inputs,
        stepInputWords({
          bias_correction1: 1 - betas.beta1 ** (t + 1),
          bias_correction2: 1 - betas.beta2 ** (t + 1),
          restart,
        }),
      ],
    ])
  );
  const moments = second ? [m, v] : [m];
  const results = await runTurns(
    target,
    (r) => rotateMoments(r, before, after, moments, side, step_inputs, betas),
    written,
    moments,
  );
  const back = (bits: Uint32Array<ArrayBuffer>): Reals => side === "left" ? realsOf(bits) : transpose(realsOf(bits), k);
  return results.map(([first, other]) => ({ m: back(first!), v: other ? back(other) : new Float64Array() }));
}

const SHAPES = [[12, 4, 8], [13, 5, 7], [9, 1, 3], [40, 16, 33]] as const;
const STEPS = [1, 2, 10, 1000];

test("rotateMoments(): as the formula says, on either side, at any step", async () => {
  for (const target of await testTargets()) {
    for (const [d, k, w] of target === "tiled" ? SHAPES.slice(-1) : SHAPES) {
      const moments = momentsOf(d, d, k, w);
      for (const side of ["left", "right"] as const) {
        const results = await rotate(target, side, k, STEPS.map((t) => ({ moments, t })));
        STEPS.forEach((t, i) => {
          const expected = rotated(moments, k, t, BETAS),
            name = `${target}, ${side}, (${d}, ${k}), ${t} steps`,
            { m, v } = results[i]!;
          // Numbers of order 1: two sums, of d and of k products. The variances inherit the error of the turn's
          // entries, which the sum of absolute terms does not see where those entries are small.
          assertClose(m, expected.m, { name: `${name}: m`, absolute: 8 * EPS });
          assertClose(v, expected.v, { name: `${name}: v`, relative: 16 * EPS, scale: expected.size });
          assert(v.every((x) => x >= 0), `${name}: v is not negative`);
        });
      }
    }
  }
});

test("rotateMoments(): to the same basis, nothing changes beyond rounding", async () => {
  const moments = momentsOf(2, 30, 8, 9), same = { ...moments, after: moments.before };
  const [result] = await rotate(await portable(), "left", 8, [{ moments: same, t: 5 }]) as [{ m: Reals; v: Reals }];
  const { size } = rotated(same, 8, 5, BETAS);
  // The turn is the identity but for EPS in each entry.
  assertClose(result.m, moments.m, { name: "m", absolute: 8 * EPS });
  assertClose(result.v, moments.v, { name: "v", relative: 16 * EPS, scale: size });
});

test("rotateMoments(): without a past nothing changes, bit for bit", async () => {
  const moments = momentsOf(3, 13, 5, 7);
  for (const second of [true, false]) {
    const results = await rotate(
      await portable(),
      "right",
      5,
      [{ moments, t: 4, restart: true }, ...(second ? [{ moments, t: 0 }] : [])],
      BETAS,
      second,
    );
    for (const { m, v } of results) {
      assertEquals({ m, v }, { m: moments.m, v: second ? moments.v : new Float64Array() });
    }
  }
});

test("rotateMoments(): one moment alone, and betas of 0", async () => {
  const moments = momentsOf(4, 13, 5, 7),
    [alone] = await rotate(await portable(), "left", 5, [{ moments, t: 3 }], BETAS, false) as [{ m: Reals; v: Reals }];
  assertClose(alone.m, rotated(moments, 5, 3, BETAS).m, { name: "m alone", absolute: 8 * EPS });
  const none = { beta1: 0, beta2: 0 }, expected = rotated(moments, 5, 3, none);
  const [result] = await rotate(await portable(), "left", 5, [{ moments, t: 3 }], none) as [{ m: Reals; v: Reals }];
  assertClose(result.v, expected.v, { name: "v with betas of 0", relative: 16 * EPS, scale: expected.size });
});
