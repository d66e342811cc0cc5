import { assert, assertEquals, assertThrows, random, test } from "../harness.ts";
import { add, type Reals } from "../reference/ops.ts";
import { TOLERANCES } from "../tolerances.ts";
import { philox4x32, purposeKey, randomWords } from "../../src/random/philox.ts";
import { dropout } from "../../src/ops/dropout.ts";
import { type Draw, dropoutFactors, SEED } from "./dropout_factors.ts";
import { checkOps, type Expected, type OpCase, recordCase } from "./run_op.ts";
import { absolute, uniform } from "./values.ts";

const times = (x: Reals, factors: Reals): Reals => x.map((value, i) => value * factors[i]!);
const close = (value: Reals): Expected => ({ value, tolerance: TOLERANCES.dropout });

function dropoutCase(n: number, p: number, draw: Draw = {}): OpCase {
  const { purpose = "test", step = 3, micro = 0 } = draw,
    x = uniform(random(n), n),
    dy = uniform(random(n + 1), n),
    kept = dropoutFactors(n, p, draw);
  return {
    name: `dropout of ${n}, p ${p}, ${purpose} ${step} ${micro}`,
    variables: { x: { shape: [n], values: x } },
    inputs: { mask_counter: Uint32Array.of(step, micro) },
    record: (r, { x }, { mask_counter }) => ({
      y: dropout(r, x!, { p, key: purposeKey(SEED, purpose), mask_counter: mask_counter! }),
    }),
    seeds: { y: dy },
    expected: { y: close(times(x, kept)), dx: close(times(dy, kept)) },
  };
}

test("dropout(): y and dx have the mask that the host's generator gives, for any length", async () => {
  const sizes = [1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 255, 256, 257, 1031, 4096];
  await checkOps([
    ...sizes.map((n) => dropoutCase(n, 0.4)),
    ...[1e-9, 0.1, 0.5, 0.999].map((p) => dropoutCase(301, p)),
  ]);
});

test("dropout(): another step, micro-batch, seed or name is another mask", async () => {
  const draws: readonly Draw[] = [{}, { step: 4 }, { step: 0xffffffff }, { micro: 1 }, { purpose: "other" }];
  assert(new Set(draws.map((draw) => dropoutFactors(64, 0.5, draw).join())).size === draws.length, "five masks");
  await checkOps(draws.map((draw) => dropoutCase(66, 0.5, draw)));
  assertEquals(
    philox4x32([1, 0, 3, 0], purposeKey(SEED, "test")),
    randomWords(SEED, "test", 3, 1),
    "micro-batch 0 has the words of randomWords()",
  );
});

test("dropout(): drops a share of p, and the mean stays", () => {
  const n = 40000;
  for (const p of [0.1, 0.5, 0.9]) {
    const kept = dropoutFactors(n, p),
      dropped = kept.filter((factor) => factor === 0).length / n,
      mean = kept.reduce((a, b) => a + b, 0) / n;
    const deviation = Math.sqrt((p * (1 - p)) / n); // of the share; five of them
    assert(Math.abs(dropped - p) < 5 * deviation, `p ${p}: ${dropped} are dropped`);
    assert(Math.abs(mean - 1) < (5 * deviation) / (1 - p), `p ${p}: the mean factor is ${mean}`);
  }
});

test("dropout(): a NaN shows even where it would be dropped", async () => {
  const one = dropoutCase(64, 0.9), nan = new Float64Array(64).fill(NaN);
  const { seeds: _, ...forward } = one;
  const same: Expected = { value: nan, tolerance: TOLERANCES.exact };
  await checkOps([{
    ...forward,
    seeds: { y: nan },
    variables: { x: { shape: [64], values: nan } },
    expected: { y: same, dx: same },
  }]);
});

/** Two masks of one x add up; a block that is recorded twice draws its mask again. */
test("dropout(): a second use adds to the gradient, under activation checkpointing the mask is the same", async () => {
  for (const n of [63, 64]) {
    const x = uniform(random(n), n), dy = uniform(random(1), n), dz = uniform(random(2), n), p = 0.3;
    const variables = { x: { shape: [n], values: x } }, inputs = { mask_counter: Uint32Array.of(9, 2) };
    const first = dropoutFactors(n, p, { step: 9, micro: 2 }),
      second = dropoutFactors(n, p, { step: 9, micro: 2, purpose: "second" });
    const key = (purpose: string) => purposeKey(SEED, purpose);
    const both = add(times(dy, first), times(dz, second)),
      scale = add(absolute(times(dy, first)), absolute(times(dz, second)));
    await checkOps([
      {
        name: `dropout twice of ${n}`,
        variables,
        inputs,
        record: (r, { x }, { mask_counter }) => ({
          y: dropout(r, x!, { p, key: key("test"), mask_counter: mask_counter! }),
          z: dropout(r, x!, { p, key: key("second"), mask_counter: mask_counter! }),
        }),
        seeds: { y: dy, z: dz },
        expected: { y: close(times(x, first)), z: close(times(x, second)), dx: { ...close(both), scale } },
      },
      {
        name: `dropout of dropout of ${n}, recorded twice`,
        variables,
        inputs,
        record: (r, { x }, { mask_counter }) => ({
          y: r.checkpoint(
            x!,
            (x) =>
              dropout(r, dropout(r, x, { p, key: key("test"), mask_counter: mask_counter! }), {
                p,
                key: key("second"),
                mask_counter: mask_counter!,
              }),
          ),
        }),
        seeds: { y: dy },
        expected: { y: close(times(times(x, first), second)), dx: close(times(times(dy, first), second)) },
      },
    ]);
  }
});

test("dropout(): records nothing with p = 0, outside of training, and no gradient for a frozen x", async () => {
  const none = dropoutCase(8, 0), { seeds: _, ...evaluation } = dropoutCase(8, 0.5);
  assertEquals(recordCase(none, "portable").program.steps.length, 0, "p = 0");
  assertEquals(recordCase(evaluation, "portable").program.steps.length, 0, "evaluation");
  const one = dropoutCase(8, 0.5), frozen = { x: { ...one.variables["x"]!, frozen: true } };
  await checkOps([{ ...one, variables: frozen, seeds: {}, expected: { y: one.expected["y"]! } }]);
});

test("dropout(): refuses a share that is none", () => {
  for (const p of [1, -0.1, NaN, 2]) {
    assertThrows(() => recordCase(dropoutCase(4, p), "portable"), `with p = ${p}: expected a number from 0, below 1`);
  }
});
