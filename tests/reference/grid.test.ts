// Tests of the reference itself, against numbers from the authors' code.

import { assertClose, assertEquals, test } from "../harness.ts";
import { createGrid } from "./grid.ts";
import { readAuthors, replayError } from "./grid_authors.ts";
import { growthDivisor } from "./grid_rules.ts";
import { GAP, gradientAt, initialWeights, LR, TABLE, type TableRow } from "./grid_tables.ts";
import type { Reals } from "./ops.ts";

test("the grid in f64 follows all 54 recorded trajectories", async () => {
  const { cases } = await readAuthors();
  assertEquals(cases.length, 54);
  // The file rounds gradients, bases and weights to 12 digits. Eight steps add up to 4.4e-12 of the largest weight.
  // The smallest mistake there is, normalizing without its floor of 1e-8, makes 3e-9.
  for (const one of cases) assertClose([replayError(one)], [0], { name: one.name, absolute: 2e-11 });
});

/** Runs a row of the table; `each` sees the grid after every step. */
function run(
  { shape: [m, n], settings, chosen, steps = 7, parameter = 0 }: TableRow,
  each: (t: number, divisor: number, norm: number | undefined) => void,
): Reals {
  const grid = createGrid(settings, m, n), weights = initialWeights(m, n, parameter);
  for (let t = 0; t < steps; t++) {
    grid.step(weights, gradientAt(t, m, n, parameter), LR, t % GAP === 0 ? chosen?.(t / GAP, m, n) : undefined);
    each(t, grid.state.divisor, grid.state.norm);
  }
  return weights;
}

for (const row of TABLE) {
  const name = `${row.name} (${row.shape.join(", ")})`;
  test(`the grid in f64 has the authors' numbers: ${name}`, () => {
    const weights = run(row, (t, divisor, norm) => {
      // Printed with 8 digits after the point.
      if (row.limiter) {
        assertClose([divisor, norm!], row.limiter[t]!, {
          name: `${name}: limiter at step ${t}`,
          absolute: 1e-8,
          relative: 1e-8,
        });
      }
    });
    const measured = [
      weights[0]!,
      weights[row.shape[1] + 2]!,
      weights.reduce((sum, w) => sum + w, 0),
      Math.sqrt(weights.reduce((sum, w) => sum + w * w, 0)),
    ];
    // Printed with 12 digits after the point, which is all there is to see (5e-13) but for the bases, which have ten:
    // 7e-12 after seven steps.
    assertClose(measured, row.expected, { name, absolute: 2e-11 });
  });
}

function limited(norms: readonly number[]): number[] {
  let previous: number | undefined;
  return norms.map((norm) => (previous = norm / growthDivisor(norm, previous)));
}

test("the norm-growth limiter lets norms fall freely and grow by 1.01", () => {
  // The floor of 1e-8 beside the norms.
  assertClose(limited([1, 2, 4, 8]), [1, 1.01, 1.0201, 1.030301], { name: "growing", relative: 1e-7 });
  assertClose(limited([1, 0.5, 0.25, 1]), [1, 0.5, 0.25, 0.2525], { name: "falling", relative: 1e-7 });
});

test("the norm-growth limiter lets through what was recorded", async () => {
  const { limiter } = await readAuthors();
  assertClose(limited(limiter.input), limiter.output, { name: "recorded", relative: 1e-7 });
});
