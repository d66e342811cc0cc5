import { assertThrows, random, test } from "../harness.ts";
import * as reference from "../reference/ops.ts";
import { TOLERANCES } from "../tolerances.ts";
import { layerNorm } from "../../src/ops/layer_norm.ts";
import { checkOps, type Expected, type OpCase, recordCase } from "./run_op.ts";
import { uniform } from "./values.ts";

const EPS = 1e-5, tolerance = TOLERANCES.layerNorm;

type Operands = { x: reference.Reals; weight: reference.Reals; bias: reference.Reals };

function draw(N: number, C: number, range = 1): Operands {
  const next = random(N * 1000 + C);
  return { x: uniform(next, N * C, range), weight: uniform(next, C), bias: uniform(next, C) };
}

const outputOf = (operands: Operands): Expected => ({
  value: reference.layerNorm({ ...operands, eps: EPS }),
  scale: reference.layerNorm({ ...operands, eps: EPS }, true),
  tolerance,
  terms: operands.weight.length,
});

function gradientsOf(operands: Operands, dy: reference.Reals): { dx: Expected; dweight: Expected; dbias: Expected } {
  const C = operands.weight.length, N = dy.length / C;
  const value = reference.layerNormBackward({ ...operands, eps: EPS }, dy),
    scale = reference.layerNormBackward({ ...operands, eps: EPS }, dy, true);
  const of = (name: "dx" | "dweight" | "dbias", terms: number): Expected => ({
    value: value[name],
    scale: scale[name],
    tolerance,
    terms,
  });
  return { dx: of("dx", C), dweight: of("dweight", N + C), dbias: of("dbias", N) };
}

const variablesOf = ({ x, weight, bias }: Operands): OpCase["variables"] => ({
  x: { shape: [x.length / weight.length, weight.length], values: x },
  weight: { shape: [weight.length], values: weight },
  bias: { shape: [bias.length], values: bias },
});

function normCase(N: number, C: number, range = 1): OpCase {
  const operands = draw(N, C, range), dy = uniform(random(N + C), N * C);
  return {
    name: `layerNorm (${N}, ${C}) of +-${range}`,
    variables: variablesOf(operands),
    record: (r, { x, weight, bias }) => ({ y: layerNorm(r, x!, weight!, bias!, EPS) }),
    seeds: { y: dy },
    expected: { y: outputOf(operands), ...gradientsOf(operands, dy) },
  };
}

test("layerNorm(): y, dx, dweight and dbias for any number of rows and columns", async () => {
  const sizes = [
    [1, 1],
    [1, 2],
    [2, 1],
    [3, 7],
    [7, 3],
    [8, 8],
    [9, 15],
    [15, 16],
    [16, 17],
    [17, 9],
    [31, 32],
    [32, 33],
    [33, 31],
    [5, 63],
    [6, 64],
    [7, 65],
    [65, 4],
    [2, 127],
    [3, 128],
    [4, 129],
    [3, 255],
    [2, 256],
    [2, 257],
    [4, 315],
    [127, 5],
    [129, 12],
    [1, 1031],
    [2, 2180],
    [1031, 2],
    [300, 288],
  ] as const;
  await checkOps([
    ...sizes.map(([N, C]) => normCase(N, C)),
    normCase(5, 64, 1e-4),
    normCase(5, 64, 1e6),
    normCase(3, 65, 0),
    normCase(40000, 3),
  ]);
});

test("layerNorm(): a mean of hundreds of deviations costs the variance nothing", async () => {
  await checkOps(([[5, 7], [9, 64], [3, 1031]] as const).map(([N, C]): OpCase => {
    const drawn = draw(N, C), operands = { ...drawn, x: drawn.x.map((value) => Math.fround(value + 300)) };
    const one = normCase(N, C), { seeds: _, ...forward } = one;
    return {
      ...forward,
      name: `${one.name} around 300`,
      variables: variablesOf(operands),
      expected: { y: outputOf(operands) },
    };
  }));
});

test("layerNorm(): a second use adds to all gradients", async () => {
  await checkOps(([[1, 1], [5, 7], [33, 64], [17, 130]] as const).map(([N, C]): OpCase => {
    const operands = draw(N, C), dy = uniform(random(N), N * C), dz = uniform(random(C), N * C);
    const first = gradientsOf(operands, dy), second = gradientsOf(operands, dz), y = outputOf(operands);
    const both = (name: keyof typeof first): Expected => ({
      ...first[name],
      value: reference.add(first[name].value, second[name].value),
      scale: reference.add(first[name].scale!, second[name].scale!),
    });
    return {
      name: `layerNorm twice (${N}, ${C})`,
      variables: variablesOf(operands),
      record: (r, { x, weight, bias }) => ({
        y: layerNorm(r, x!, weight!, bias!, EPS),
        z: layerNorm(r, x!, weight!, bias!, EPS),
      }),
      seeds: { y: dy, z: dz },
      expected: { y, z: y, dx: both("dx"), dweight: both("dweight"), dbias: both("dbias") },
    };
  }));
});

test("layerNorm(): each operand frozen", async () => {
  await checkOps((["x", "weight", "bias"] as const).map((name): OpCase => {
    const one = normCase(9, 12), { [`d${name}`]: _, ...expected } = one.expected;
    return {
      ...one,
      name: `${one.name}, ${name} frozen`,
      variables: { ...one.variables, [name]: { ...one.variables[name]!, frozen: true } },
      expected,
    };
  }));
});

test("layerNorm(): refuses a weight or bias of another width", () => {
  const one = normCase(2, 6);
  assertThrows(
    () =>
      recordCase(
        { ...one, variables: { ...one.variables, bias: { shape: [5], values: new Float64Array(5) } } },
        "portable",
      ),
    "with bias (5): x is (2,6), expected (6)",
  );
});
