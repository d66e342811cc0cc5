import { assertThrows, random, test } from "../harness.ts";
import * as reference from "../reference/ops.ts";
import { TOLERANCES } from "../tolerances.ts";
import { ropeTable } from "../../src/models/rope_table.ts";
import { rmsNorm } from "../../src/ops/rms_norm.ts";
import { rope } from "../../src/ops/rope.ts";
import { checkOps, type Expected, type OpCase, recordCase } from "./run_op.ts";
import { uniform } from "./values.ts";

const EPS = 1e-5;

type Operands = { x: reference.Reals; weight: reference.Reals };

function normGradients({ x, weight }: Operands, dy: reference.Reals, N: number): { dx: Expected; dweight: Expected } {
  const C = weight.length, tolerance = TOLERANCES.rmsNorm;
  const value = reference.rmsNormBackward(x, weight, EPS, dy),
    scale = reference.rmsNormBackward(x, weight, EPS, dy, true);
  return {
    dx: { value: value.dx, scale: scale.dx, tolerance, terms: C },
    dweight: { value: value.dweight, scale: scale.dweight, tolerance, terms: N + C },
  };
}

function normCase(N: number, C: number, range = 1): OpCase {
  const next = random(N * 1000 + C),
    x = uniform(next, N * C, range),
    weight = uniform(next, C),
    dy = uniform(next, N * C);
  return {
    name: `rmsNorm (${N}, ${C}) of +-${range}`,
    variables: { x: { shape: [N, C], values: x }, weight: { shape: [C], values: weight } },
    record: (r, { x, weight }) => ({ y: rmsNorm(r, x!, weight!, EPS) }),
    seeds: { y: dy },
    expected: {
      y: { value: reference.rmsNorm(x, weight, EPS), tolerance: TOLERANCES.rmsNorm, terms: C },
      ...normGradients({ x, weight }, dy, N),
    },
  };
}

test("rmsNorm(): y, dx and dweight for any number of rows and columns", async () => {
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
    [2, 2179],
    [1031, 2],
    [300, 288],
  ] as const;
  await checkOps([
    ...sizes.map(([N, C]) => normCase(N, C)),
    normCase(5, 64, 1e-4),
    normCase(5, 64, 1e6),
    normCase(3, 65, 0),
  ]);
});

test("rmsNorm(): a second use adds to both gradients", async () => {
  await checkOps(([[1, 1], [5, 7], [33, 64], [17, 130]] as const).map(([N, C]): OpCase => {
    const next = random(N),
      x = uniform(next, N * C),
      weight = uniform(next, C),
      dy = uniform(next, N * C),
      dz = uniform(next, N * C);
    const y = { value: reference.rmsNorm(x, weight, EPS), tolerance: TOLERANCES.rmsNorm, terms: C };
    const first = normGradients({ x, weight }, dy, N), second = normGradients({ x, weight }, dz, N);
    const both = (a: Expected, b: Expected): Expected => ({
      ...a,
      value: reference.add(a.value, b.value),
      scale: reference.add(a.scale!, b.scale!),
    });
    return {
      name: `rmsNorm twice (${N}, ${C})`,
      variables: { x: { shape: [N, C], values: x }, weight: { shape: [C], values: weight } },
      record: (r, { x, weight }) => ({ y: rmsNorm(r, x!, weight!, EPS), z: rmsNorm(r, x!, weight!, EPS) }),
      seeds: { y: dy, z: dz },
      expected: { y, z: y, dx: both(first.dx, second.dx), dweight: both(first.dweight, second.dweight) },
    };
  }));
});

test("rmsNorm(): heads side by side are normalised one by one", async () => {
  await checkOps(
    ([[1, 2, 1], [3, 2, 4], [5, 3, 7], [33, 4, 64], [9, 5, 33], [70, 2, 128]] as const).map(([N, H, D]): OpCase => {
      const one = normCase(N * H, D), { x, weight } = one.variables;
      return {
        ...one,
        name: `rmsNorm of ${H} heads (${N}, ${H * D})`,
        variables: { x: { ...x!, shape: [N, H * D] }, weight: weight! },
      };
    }),
  );
  assertThrows(
    () =>
      recordCase({
        ...normCase(2, 6),
        variables: {
          x: { shape: [3, 4], values: new Float64Array(12) },
          weight: { shape: [6], values: new Float64Array(6) },
        },
      }, "portable"),
    "x is (3,4), expected rows of a multiple of 6",
  );
});

test("rmsNorm(): more rows than one thread may take", async () => {
  const one = normCase(40000, 3), { dx: _, ...expected } = one.expected;
  await checkOps([{ ...one, variables: { ...one.variables, x: { ...one.variables["x"]!, frozen: true } }, expected }]);
});

function ropeCase(B: number, T: number, H: number, KV: number, D: number): OpCase {
  const next = random(B + T + H + KV + D);
  const table = Float64Array.from(ropeTable(T, D, { rope_theta: 10000 }));
  const values = (heads: number): reference.Reals => uniform(next, B * T * heads * D);
  const q = values(H), k = values(KV), dq = values(H), dk = values(KV);
  const turned = (x: reference.Reals, heads: number, inverse: boolean): Expected => ({
    value: reference.rope(x, table, { T, heads, D }, inverse),
    scale: x.map((_, i) => magnitude(x, table, { T, heads, D }, i)),
    tolerance: TOLERANCES.rope,
  });
  return {
    name: `rope B ${B}, T ${T}, H ${H}, KV ${KV}, D ${D}`,
    variables: { q: { shape: [B * T, H * D], values: q }, k: { shape: [B * T, KV * D], values: k } },
    inputs: { table },
    shapes: { table: [T, 2, D / 2] },
    record: (r, { q, k }, { table }) => {
      rope(r, q!, k!, table!);
      return { q: q!, k: k! };
    },
    seeds: { q: dq, k: dk },
    expected: { q: turned(q, H, false), k: turned(k, KV, false), dq: turned(dq, H, true), dk: turned(dk, KV, true) },
  };
}

/** |a cos| + |b sin| of element i. */
function magnitude(
  x: reference.Reals,
  table: reference.Reals,
  { T, heads, D }: { T: number; heads: number; D: number },
  i: number,
): number {
  const half = D / 2, row = Math.floor(i / (heads * D)), d = i % D;
  const entry = (row % T) * D + (d % half), other = d < half ? i + half : i - half;
  return Math.abs(x[i]! * table[entry]!) + Math.abs(x[other]! * table[entry + half]!);
}

test("rope(): q and k turn in place, their gradients turn back", async () => {
  const sizes = [
    [1, 1, 1, 1, 2],
    [1, 2, 1, 1, 2],
    [2, 3, 2, 1, 4],
    [3, 5, 4, 2, 6],
    [2, 7, 3, 3, 10],
    [1, 33, 6, 2, 16],
    [2, 17, 5, 1, 62],
    [2, 9, 4, 4, 64],
    [1, 315, 1, 1, 2],
    [2, 31, 9, 3, 32],
  ] as const;
  await checkOps(sizes.map(([B, T, H, KV, D]) => ropeCase(B, T, H, KV, D)));
});

test("ropeTable(): cosines and sines, their scalings, and what it refuses", async () => {
  const T = 3,
    D = 4,
    near = (rope: Parameters<typeof ropeTable>[2], frequencies: readonly number[]): void => {
      const table = ropeTable(T, D, rope);
      for (let t = 0; t < T; t++) {
        frequencies.forEach((frequency, i) => {
          const at = t * D + i;
          const error = Math.hypot(table[at]! - Math.cos(t * frequency), table[at + D / 2]! - Math.sin(t * frequency));
          if (!(error < 1e-7)) throw new Error(`ropeTable at (${t}, ${i}): off by ${error}`);
        });
      }
    };
  near({ rope_theta: 10000 }, [1, 0.01]);
  near({ rope_theta: 10000, rope_type: "linear", factor: 4 }, [0.25, 0.0025]);
  // 8192 positions hold 1304 turns of frequency 1 (kept) and 13.04 of 0.01 (kept); 100 positions 15.9 (kept) and 0.159
  // (stretched).
  const llama3 = {
    rope_theta: 10000,
    rope_type: "llama3",
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
  } as const;
  near({ ...llama3, original_max_position_embeddings: 8192 }, [1, 0.01]);
  near({ ...llama3, original_max_position_embeddings: 100 }, [1, 0.01 / 8]);
  // 2.5 turns lie half-way between 1 and 4.
  near({ ...llama3, original_max_position_embeddings: 5 * Math.PI }, [0.5 + 0.5 / 8, 0.01 / 8]);
  assertThrows(
    () => ropeTable(T, D, { rope_theta: 10000, rope_type: "linear" }),
    'rope_parameters has no number "factor"',
  );
});
