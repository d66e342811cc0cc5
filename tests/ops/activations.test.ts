import { random, test } from "../harness.ts";
import * as activations from "../reference/activations.ts";
import { add, type Reals } from "../reference/ops.ts";
import { TOLERANCES } from "../tolerances.ts";
import { gelu, type GeluForm } from "../../src/ops/gelu.ts";
import { tanh } from "../../src/ops/tanh.ts";
import { checkOps, type OpCase } from "./run_op.ts";
import { uniform } from "./values.ts";

const SIZES = [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 33, 64, 65, 127, 128, 129, 315, 1031];

/**
 * The magnitude that rounding is relative to. The lower tail is an exponential and carries the rounding of its
 * argument, a share of |argument|; the upper part is 1 less that. Below `smallest` adapters flush to 0.
 */
function geluScales(x: number, form: GeluForm): { y: number; slope: number } {
  const share = activations.geluShare(x, form), rise = Math.abs(activations.geluRise(x, form));
  const argument = form === "exact" ? (x * x) / 2 : 1.6 * (Math.abs(x) + 0.045 * Math.abs(x) ** 3);
  const rough = share < 0.5 ? share * (1 + argument) : 1;
  const smallest = 1e-24;
  return { y: Math.abs(x) * rough + smallest, slope: rough + rise * (1 + argument) + smallest };
}

function geluCase(form: GeluForm, x: Reals, what: string): OpCase {
  const dy = uniform(random(x.length), x.length), scales = [...x].map((value) => geluScales(value, form));
  const of = (values: readonly number[]): Reals => Float64Array.from(values);
  const tolerance = TOLERANCES.gelu;
  return {
    name: `gelu ${form} of ${what}`,
    variables: { x: { shape: [x.length], values: x } },
    record: (r, { x }) => ({ y: gelu(r, x!, form) }),
    seeds: { y: dy },
    expected: {
      y: { value: activations.gelu(x, form), scale: of(scales.map(({ y }) => y)), tolerance },
      dx: {
        value: activations.geluBackward(x, form, dy),
        scale: of(scales.map(({ slope }, i) => slope * Math.abs(dy[i]!))),
        tolerance,
      },
    },
  };
}

for (const form of ["exact", "tanh"] as const) {
  test(`gelu(${form}): y and dx for any length`, async () => {
    await checkOps(SIZES.map((n) => geluCase(form, uniform(random(n), n, 4), `${n} of +-4`)));
  });

  test(`gelu(${form}): all along [-10, 10], and around where its formulas meet`, async () => {
    const grid = Float64Array.from({ length: 20001 }, (_, i) => Math.fround((i - 10000) / 1000));
    const meetings = [-14, -9.5, -1, 0, 1, 9.5, 14].flatMap((x) => [x, x * (1 - 2 ** -23), x * (1 + 2 ** -22)]).map(
      Math.fround,
    );
    await checkOps([geluCase(form, grid, "a grid"), geluCase(form, Float64Array.from(meetings), "meeting points")]);
  });

  test(`gelu(${form}): far from 0 it is x or nothing, and nothing overflows`, async () => {
    const x = Float64Array.of(-1e30, -30000, -1000, -88, 88, 1000, 30000, 1e30).map(Math.fround),
      one = x.map(() => 1),
      tolerance = TOLERANCES.gelu;
    await checkOps([{
      name: `gelu ${form} of extremes`,
      variables: { x: { shape: [x.length], values: x } },
      record: (r, { x }) => ({ y: gelu(r, x!, form) }),
      seeds: { y: one },
      expected: {
        // 1e30 times a share of 1e-33 is nothing beside 1e30.
        y: { value: x.map((value) => Math.max(0, value)), scale: x.map(Math.abs), tolerance },
        dx: { value: x.map((value) => Number(value > 0)), scale: one, tolerance },
      },
    }]);
  });
}

function tanhCase(x: Reals, what: string): OpCase {
  const dy = uniform(random(x.length), x.length), y = activations.tanh(x), tolerance = TOLERANCES.tanh;
  return {
    name: `tanh of ${what}`,
    variables: { x: { shape: [x.length], values: x } },
    record: (r, { x }) => ({ y: tanh(r, x!) }),
    seeds: { y: dy },
    // 1 - y has the rounding of y, which is relative to 1.
    expected: { y: { value: y, tolerance }, dx: { value: activations.tanhBackward(x, dy), scale: dy, tolerance } },
  };
}

test("tanh(): y and dx for any length, relative to y itself, and no overflow", async () => {
  const grid = Float64Array.from({ length: 10001 }, (_, i) => Math.fround((i - 5000) / 500));
  const extremes = Float64Array.of(-1e30, -1000, -89, -45, -0.25, -1e-30, 0, 1e-30, 1e-4, 0.25, 45, 89, 1000, 1e30).map(
    Math.fround,
  );
  await checkOps([
    ...SIZES.map((n) => tanhCase(uniform(random(n), n, 3), `${n} of +-3`)),
    tanhCase(grid, "a grid"),
    tanhCase(extremes, "extremes"),
  ]);
});

test("gelu() and tanh(): a second use adds to the gradient, a frozen x has none", async () => {
  const x = uniform(random(3), 37, 3), seeds = { y: uniform(random(4), 37), z: uniform(random(5), 37) };
  const one = geluCase("exact", x, "37"), other = tanhCase(x, "37");
  const y = one.expected["y"]!, z = other.expected["y"]!;
  const variables = one.variables;
  const slopes = { y: activations.geluBackward(x, "exact", seeds.y), z: activations.tanhBackward(x, seeds.z) };
  const record: OpCase["record"] = (r, { x }) => ({ y: gelu(r, x!, "exact"), z: tanh(r, x!) });
  await checkOps([
    {
      name: "gelu and tanh of one x",
      variables,
      record,
      seeds,
      expected: { y, z, dx: { value: add(slopes.y, slopes.z), scale: x.map(() => 4), tolerance: TOLERANCES.gelu } },
    },
    {
      name: "gelu and tanh, frozen",
      variables: { x: { ...variables["x"]!, frozen: true } },
      record,
      seeds: {},
      expected: { y, z },
    },
  ]);
});
