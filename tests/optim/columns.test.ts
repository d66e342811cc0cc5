// Selected columns are updated in bands of rows on software adapters and row by row on GPUs: both do the same to every
// element.

import { assert, assertEquals, random, test } from "../harness.ts";
import { realsOf } from "./basis/run_basis.ts";
import type { Words } from "../ops/run_op.ts";
import { uniform } from "../ops/values.ts";
import { type Shape, subject, withSubjects } from "./run_optimizer.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import { resolveOptimizer } from "../../src/optim/presets.ts";
import { testGpu } from "../test_gpu.ts";

/** Bands of 64, 32, 16 and 8 rows, more than one of them, and none; columns in fours and not. */
const SHAPES: readonly Shape[] = [[128, 24], [64, 128], [96, 20], [48, 36], [24, 40], [64, 7], [40, 9], [65, 12], [
  3,
  5,
]];
const STEPS = 5, UPDATE_GAP = 3;

test("update: a selection of columns in bands of rows does what it does row by row", async () => {
  const { adapter, target } = await testGpu();
  const banded: KernelTarget[] = adapter.software ? [target] : ["portable", "portable_small"];
  const expected = await train("tiled");
  for (const target of banded) {
    const actual = await train(target);
    for (const [i, shape] of SHAPES.entries()) {
      for (const [j, bits] of expected[i]!.entries()) {
        const wanted = realsOf(bits),
          got = realsOf(actual[i]![j]!),
          where = `${target}, (${shape}), ${["weights", "m", "v"][j]}`;
        assertEquals(got.length, wanted.length, where);
        // A compiler may contract a product and a sum in one text and not in the other.
        got.forEach((x, at) =>
          assert(
            Math.abs(x - wanted[at]!) <= 1e-6 * Math.max(1e-3, Math.abs(wanted[at]!)),
            `${where}[${at}] is ${x}, row by row ${wanted[at]}`,
          )
        );
      }
    }
  }
});

/**
 * Weights and moments of each matrix after some steps and a new selection; the second gradient has numbers that are not
 * finite.
 */
async function train(target: KernelTarget): Promise<Words[][]> {
  const one = subject("columns", resolveOptimizer("frugal", { density: 0.4, update_gap: UPDATE_GAP }), SHAPES);
  return await withSubjects(target, [one], async (stage) => {
    for (let step = 0; step < STEPS; step++) {
      stage.step(step, {
        gradient: (index, n) => {
          const values = new Float32Array(uniform(random(1000 * step + index), n));
          if (step === 1) values[n - 1] = NaN, values[n >> 1] = Infinity;
          return values;
        },
      });
    }
    const results: Words[][] = [];
    for (const i of SHAPES.keys()) results.push([await stage.weights(one, i), ...await stage.state(one, i)]);
    return results;
  });
}
