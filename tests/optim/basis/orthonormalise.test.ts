import { assert, assertEquals, assertThrows, random, test } from "../../harness.ts";
import { testTargets } from "../../ops/run_op.ts";
import { uniform } from "../../ops/values.ts";
import type { Reals } from "../../reference/ops.ts";
import { gramSchmidt } from "../../reference/svd.ts";
import type { KernelTarget } from "../../../src/gpu/device.ts";
import { orthonormalise } from "../../../src/optim/split/basis/orthonormalise.ts";
import { Recorder } from "../../../src/plan/recorder.ts";
import { floats, orthonormalityError, portable, spanError, withPrograms, words } from "./run_basis.ts";

interface Result {
  readonly q: Reals;
  readonly good: number;
}

/** Orthonormalises the matrices (d, k) of each size: all in one plan, whose pipelines are then compiled once. */
function runSizes(
  target: KernelTarget,
  sizes: readonly { readonly d: number; readonly k: number; readonly ys: readonly Reals[] }[],
): Promise<Result[][]> {
  const tensors = sizes.map(({ d, k }) => ({ y: floats("y", d, k), q: floats("q", d, k), good: words("good", 1) }));
  const records = tensors.map(({ y, q, good }) => (r: Recorder) => void orthonormalise(r, y, good, q));
  return withPrograms(target, records, async (executor, programs) => {
    const results: Result[][] = [];
    for (const [i, { y, q, good }] of tensors.entries()) {
      const ofSize: Result[] = [];
      for (const values of sizes[i]!.ys) {
        executor.write(y, new Float32Array(values));
        executor.run(programs[i]!);
        ofSize.push({ q: Float64Array.from(await executor.read(q)), good: (await executor.readWords(good))[0]! });
      }
      results.push(ofSize);
    }
    return results;
  });
}

const run = async (target: KernelTarget, d: number, k: number, ys: readonly Reals[]): Promise<Result[]> =>
  (await runSizes(target, [{ d, k, ys }]))[0]!;

/** Columns that are all the same but for noise of `share` of their length. */
function alike(next: () => number, d: number, k: number, share: number): Reals {
  const common = uniform(next, d), noise = uniform(next, d * k, share);
  return noise.map((x, at) => Math.fround(common[Math.floor(at / k)]! + x));
}

const SIZES: readonly (readonly [number, number])[] = [
  [1, 1],
  [9, 1],
  [2, 2],
  [3, 2],
  [7, 7],
  [30, 7],
  [16, 16],
  [50, 16],
  [66, 64],
  [130, 65],
  [200, 128],
];
/** Only the matmuls differ between targets. */
const TILED_SIZES: typeof SIZES = [[30, 7], [130, 65]];

test("orthonormalise(): orthonormal columns with the span of y's, from columns apart and nearly alike", async () => {
  for (const target of await testTargets()) {
    const sizes = (target === "tiled" ? TILED_SIZES : SIZES).map(([d, k]) => {
      const next = random(100 * d + k), apart = uniform(next, d * k);
      return { d, k, ys: [apart, alike(next, d, k, 1e-3), apart] };
    });
    const results = await runSizes(target, sizes);
    sizes.forEach(({ d, k, ys }, i) => {
      for (const [which, name, allowed] of [[0, "apart", 4e-6], [1, "alike", 1e-3]] as const) {
        const where = `${target}, (${d}, ${k}), ${name}`, { q, good } = results[i]![which]!;
        assertEquals(good, 1, `${where}: good`);
        // The largest seen is 1e-6.
        const error = orthonormalityError(q, k);
        assert(error < 1e-5, `${where}: max |QᵀQ - I| is ${error}`);
        // Rounding moves the span by EPS times the condition of y, which the likeness makes a thousand times larger.
        // Largest seen: 3e-7, 1.3e-4.
        const moved = spanError(q, gramSchmidt(ys[which]!, k), k);
        assert(moved < allowed, `${where}: the span moved by ${moved}`);
      }
      assertEquals(results[i]![2], results[i]![0], `${target}, (${d}, ${k}): the same bits again`);
    });
  }
});

test("orthonormalise(): the first columns span the first columns of y", async () => {
  const [d, k] = [40, 6], y = uniform(random(3), d * k), [{ q }] = await run(await portable(), d, k, [y]) as [Result];
  const expected = gramSchmidt(y, k), worst = q.reduce((most, x, at) => Math.max(most, Math.abs(x - expected[at]!)), 0);
  // Shifts pull a column towards those before it by 1e-7 at last.
  assert(worst < 1e-5, `a column differs from Gram-Schmidt's by ${worst}`);
});

test("orthonormalise(): a rank of 512", async () => {
  const [d, k] = [520, 512], [{ q, good }] = await run(await portable(), d, k, [uniform(random(4), d * k)]) as [Result];
  assertEquals(good, 1, "good");
  const error = orthonormalityError(q, k);
  assert(error < 1e-5, `max |QᵀQ - I| is ${error}`);
});

test("orthonormalise(): columns without a direction give good = 0 and an end", async () => {
  const [d, k] = [40, 9], y = uniform(random(5), d * k);
  const spoilt = (at: (index: number) => boolean, value: number): Reals => y.map((x, index) => (at(index) ? value : x));
  const cases = {
    "a zero column": spoilt((index) => index % k === 5, 0),
    "a NaN": spoilt((index) => index === 77, NaN),
    "an infinity": spoilt((index) => index === 0, -Infinity),
    "squares that overflow": spoilt((index) => index === 359, 1e30),
    "all zero": spoilt(() => true, 0),
    "nothing wrong": y,
  };
  const results = await run(await portable(), d, k, Object.values(cases));
  Object.keys(cases).forEach((name, i) => assertEquals(results[i]!.good, Number(name === "nothing wrong"), name));
});

test("orthonormalise(): dependent columns are made independent, or refused", async () => {
  const [d, k] = [40, 5], y = uniform(random(6), d * k);
  const twins = y.map((x, at) => (at % k === 3 ? y[at - 2]! : x));
  const oneRow = y.map((x, at) => (at < k ? x : 0));
  const [twin, row] = await run(await portable(), d, k, [twins, oneRow]) as [Result, Result];
  assertEquals(twin.good, 1, "two equal columns: good");
  assert(orthonormalityError(twin.q, k) < 1e-5, "two equal columns become orthogonal");
  // Nothing but one direction, and no rounding error outside it to make others of.
  assertEquals(row.good, 0, "one row alone: good");
});

test("orthonormalise(): refuses more columns than rows", () => {
  const r = new Recorder({ target: "portable", training: true });
  assertThrows(
    () => orthonormalise(r, floats("y", 4, 5), words("good", 1)),
    "Cannot orthonormalise the columns of y (4,5): expected (d, k) with 0 < k <= d",
  );
});
