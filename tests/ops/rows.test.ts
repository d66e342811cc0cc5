import { assertThrows, random, test } from "../harness.ts";
import * as reference from "../reference/ops.ts";
import { TOLERANCES } from "../tolerances.ts";
import { firstTokens } from "../../src/ops/first_tokens.ts";
import { splitColumns } from "../../src/ops/split_columns.ts";
import { checkOps, type Expected, type OpCase, recordCase } from "./run_op.ts";
import { absolute, uniform } from "./values.ts";

const copy = (value: reference.Reals): Expected => ({ value, tolerance: TOLERANCES.exact });
const sum = (a: reference.Reals, b: reference.Reals): Expected => ({
  value: reference.add(a, b),
  scale: reference.add(absolute(a), absolute(b)),
  tolerance: TOLERANCES.add,
});

function firstCase(B: number, T: number, C: number, uses: 1 | 2): OpCase {
  const next = random(B + T + C), x = uniform(next, B * T * C), dy = uniform(next, B * C), dz = uniform(next, B * C);
  const y = copy(reference.firstTokens(x, T, C)),
    gradient = (d: reference.Reals): reference.Reals => reference.firstTokensBackward(d, T, C);
  const variables = { x: { shape: [B * T, C], values: x } },
    name = `firstTokens B ${B}, T ${T}, C ${C}, used ${uses} times`;
  if (uses === 1) {
    return {
      name,
      variables,
      record: (r, { x }) => ({ y: firstTokens(r, x!, { B, T }) }),
      seeds: { y: dy },
      expected: { y, dx: copy(gradient(dy)) },
    };
  }
  return {
    name,
    variables,
    record: (r, { x }) => ({ y: firstTokens(r, x!, { B, T }), z: firstTokens(r, x!, { B, T }) }),
    seeds: { y: dy, z: dz },
    expected: { y, z: y, dx: sum(gradient(dy), gradient(dz)) },
  };
}

test("firstTokens(): the first row of each sequence; all others have the gradient 0", async () => {
  const sizes = [[1, 1, 1], [1, 3, 2], [3, 1, 4], [2, 5, 7], [4, 9, 8], [5, 17, 33], [3, 64, 64], [
    2,
    31,
    129,
  ]] as const;
  await checkOps(sizes.flatMap(([B, T, C]) => [firstCase(B, T, C, 1), firstCase(B, T, C, 2)]));
});

/** Columns first … first + C of x (N, width). */
const columnsOf = (x: reference.Reals, width: number, first: number, C: number): reference.Reals =>
  x.filter((_, i) => i % width >= first && i % width < first + C);

function splitCase(N: number, C: number, count: number, reused: boolean): OpCase {
  const next = random(N + C + count),
    width = C * count,
    x = uniform(next, N * width),
    dx = uniform(next, N * width),
    dz = uniform(next, N * width);
  const names = [..."abcd"].slice(0, count);
  const part = (of: reference.Reals, index: number): reference.Reals => columnsOf(of, width, index * C, C);
  return {
    name: `splitColumns (${N}, ${width}) in ${count}${reused ? ", x split twice" : ""}`,
    variables: { x: { shape: [N, width], values: x } },
    record: (r, { x }) => {
      const parts = splitColumns(r, x!, count), again = reused ? splitColumns(r, x!, 1) : [];
      return {
        ...Object.fromEntries(names.map((name, index) => [name, parts[index]!])),
        ...(reused && { z: again[0]! }),
      };
    },
    seeds: { ...Object.fromEntries(names.map((name, index) => [name, part(dx, index)])), ...(reused && { z: dz }) },
    expected: {
      ...Object.fromEntries(names.map((name, index) => [name, copy(part(x, index))])),
      ...(reused && { z: copy(x) }),
      dx: reused ? sum(dx, dz) : copy(dx),
    },
  };
}

test("splitColumns(): parts side by side, and their gradients together again", async () => {
  const sizes = [[1, 1, 1], [1, 1, 3], [5, 2, 2], [3, 4, 3], [9, 7, 3], [17, 64, 3], [33, 12, 4]] as const;
  await checkOps(sizes.flatMap(([N, C, count]) => [splitCase(N, C, count, false), splitCase(N, C, count, true)]));
});

test("splitColumns(): refuses parts of unequal width, and a part without a gradient", () => {
  const one = splitCase(2, 3, 2, false);
  assertThrows(
    () => recordCase({ ...one, record: (r, { x }) => ({ a: splitColumns(r, x!, 4)[0]! }) }, "portable"),
    "x (2,6) into 4 parts: expected a divisor of 6",
  );
  assertThrows(() => recordCase({ ...one, seeds: { a: one.seeds!["a"]! } }, "portable"), "part 1 has no gradient");
});
