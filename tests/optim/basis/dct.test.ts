// Cosine bases against the formula in f64, and which cosines are chosen.

import { assert, assertClose, assertEquals, assertThrows, random, test } from "../../harness.ts";
import { testTargets } from "../../ops/run_op.ts";
import { uniform } from "../../ops/values.ts";
import { matmul, type Reals } from "../../reference/ops.ts";
import { EPS } from "../../tolerances.ts";
import type { KernelTarget } from "../../../src/gpu/device.ts";
import { dctFill, dctSelect, dctTable, dctTableValues } from "../../../src/optim/split/basis/dct.ts";
import type { BasisSide } from "../../../src/optim/split/basis/power_iteration.ts";
import { Recorder } from "../../../src/plan/recorder.ts";
import type { Tensor } from "../../../src/plan/tensor.ts";
import { type Data, floats, portable, realsOf, runTurns, withPrograms, words } from "./run_basis.ts";

/** Column f of the DCT-II of length d. */
const cosine = (d: number, f: number): Reals =>
  Float64Array.from(
    { length: d },
    (_, j) => Math.sqrt((f === 0 ? 1 : 2) / d) * Math.cos((Math.PI * (2 * j + 1) * f) / (2 * d)),
  );

test("dctFill(): the columns of the orthonormal DCT-II that the indices name, at lengths short and long", async () => {
  for (const d of [1, 2, 7, 64, 1031]) {
    const named = Uint32Array.from(new Set([0, d - 1, d >> 1, d >> 2])), k = named.length;
    const indices = words("indices", k), table = dctTable(d), out = floats("out", d, k);
    const turn = new Map<Tensor, Data>([[indices, named], [table, dctTableValues(d)]]);
    const [[bits]] = await runTurns("portable", (r) => dctFill(r, indices, table, out), [turn], [out]) as [
      [Uint32Array<ArrayBuffer>],
    ];
    const columns = Array.from(named, (f) => cosine(d, f)),
      expected = Float64Array.from({ length: d * k }, (_, at) => columns[at % k]![Math.floor(at / k)]!);
    // A rounded entry of the table, and one product for index 0. The expected cosines of large angles are off by d EPS
    // of f64.
    assertClose(realsOf(bits), expected, { name: `length ${d}`, shape: [d, k], relative: 2 * EPS, absolute: 1e-12 });
  }
});

/** The k cosines of most energy in f64. */
function strongest(gradient: Reals, m: number, n: number, side: BasisSide, k: number): number[] {
  const d = side === "right" ? n : m;
  const energies = Array.from({ length: d }, (_, f) => {
    const column = cosine(d, f);
    const product = side === "right"
      ? matmul("NN", gradient, column, { M: m, N: 1, K: n })
      : matmul("TN", column, gradient, { M: 1, N: n, K: m });
    return product.reduce((sum, x) => sum + x * x, 0);
  });
  return energies.map((_, f) => f).sort((a, b) => energies[b]! - energies[a]! || a - b).slice(0, k);
}

/** A cold choice from the first gradient, a warm one from each of the others. */
function choose(
  target: KernelTarget,
  m: number,
  n: number,
  side: BasisSide,
  k: number,
  gradients: readonly Reals[],
): Promise<number[][]> {
  const gradient = floats("gradient", m, n),
    indices = words("indices", k),
    d = side === "right" ? n : m,
    table = dctTable(d);
  const records = [true, false].map((cold) => (r: Recorder) => dctSelect(r, gradient, indices, side, table, cold));
  return withPrograms(target, records, async (executor, [cold, warm]) => {
    executor.write(table, dctTableValues(d));
    executor.write(indices, new Uint32Array(k).fill(0xffffffff));
    const results: number[][] = [];
    for (const [i, values] of gradients.entries()) {
      executor.write(gradient, new Float32Array(values));
      executor.run(i === 0 ? cold! : warm!);
      results.push([...await executor.readWords(indices)]);
    }
    return results;
  });
}

test("dctSelect(): the k strongest cosines, strongest first, of either side", async () => {
  for (const target of await testTargets()) {
    for (
      const [m, n, side, k] of [[33, 21, "right", 5], [21, 33, "left", 5], [9, 40, "right", 40], [70, 70, "left", 1], [
        3,
        1,
        "right",
        1,
      ]] as const
    ) {
      const gradients = [1, 2].map((seed) => uniform(random(seed), m * n));
      const expected = gradients.map((gradient) => strongest(gradient, m, n, side, k));
      assertEquals(await choose(target, m, n, side, k, gradients), expected, `${target}, (${m}, ${n}), ${side}`);
    }
  }
});

test(
  "dctSelect(): a gradient without energies keeps the choice; a cold one takes the lowest frequencies; ties go " +
    "to the smaller",
  async () => {
    const [m, n, k] = [12, 10, 4];
    for (const side of ["left", "right"] as const) {
      const gradient = uniform(random(3), m * n), zero = gradient.map(() => 0);
      const nan = gradient.map((x, i) => (i === 25 ? NaN : x)),
        infinite = gradient.map((x, i) => (i === 3 ? -Infinity : x));
      const chosen = strongest(gradient, m, n, side, k), lowest = [0, 1, 2, 3];
      assert(chosen.join() !== lowest.join(), "the two can be told apart");
      assertEquals(await choose(await portable(), m, n, side, k, [gradient, zero, nan, infinite]), [
        chosen,
        chosen,
        chosen,
        chosen,
      ], side);
      for (const bad of [zero, nan, infinite]) {
        assertEquals(await choose(await portable(), m, n, side, k, [bad, gradient]), [lowest, chosen], side);
      }
    }
    // One element: all cosines of length 1 are one, and of length 2 both hold half.
    assertEquals(await choose(await portable(), 1, 2, "right", 2, [Float64Array.of(1, 0)]), [[0, 1]]);
  },
);

test("dctSelect() and dctTable() refuse what does not fit", () => {
  const r = new Recorder({ target: "portable", training: true });
  assertThrows(
    () => dctSelect(r, floats("g", 6, 4), words("indices", 5), "right", dctTable(4), true),
    "Cannot choose 5 cosines for the right of g (6,4): expected at most 4",
  );
  assertThrows(
    () => dctSelect(r, floats("g", 6, 4), words("indices", 2), "left", dctTable(4), true),
    "a table of 24 numbers, got 16",
  );
  assertThrows(() => dctTable(50_000), "expected at most 46340");
});
