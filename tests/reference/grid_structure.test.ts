// Tests of properties that the grid must have without anybody's numbers.

import { assert, assertClose, assertEquals, assertThrows, random, test } from "../harness.ts";
import { createGrid, type Grid, type GridCase } from "./grid.ts";
import type { StateFree } from "./grid_rules.ts";
import type { Chosen, Split } from "./grid_split.ts";
import { GAP, gradientAt, initialWeights, LR } from "./grid_tables.ts";
import { matmul, type Reals } from "./ops.ts";
import { adamw } from "./optim.ts";

const M = 4, N = 6, STEPS = 8;
const COORDINATES = ["columns", "rows", "randk", "blocks"] as const satisfies readonly Split[];
type Coordinates = (typeof COORDINATES)[number];
const TOTAL = { columns: N, rows: M, randk: M * N, blocks: 1 } as const satisfies Record<Coordinates, number>;
const STATE_FREE = [
  "no",
  "sign_sgd",
  "sgd",
  "row_normalized",
  "column_normalized",
  "fira",
  "apollo",
] as const satisfies readonly StateFree[];

/** Share `density` of a split's coordinates, others at each switch. */
function part(split: Coordinates, density: number, s: number): Chosen {
  const total = TOTAL[split], count = Math.floor(total * density);
  return split === "blocks"
    ? { active: count > 0 || (density > 0 && s % 2 === 0) }
    : { indices: Array.from({ length: count }, (_, q) => (5 * q + s) % total) };
}

type Choose = (s: number) => Chosen;

/** Weights after steps with a switch at every third, and the grid. */
function run(
  settings: Partial<GridCase>,
  choose: Choose = () => ({}),
  { steps = STEPS, gradient = (t: number) => gradientAt(t, M, N, 0) } = {},
): { weights: Reals; grid: Grid } {
  const grid = createGrid(settings, M, N), weights = initialWeights(M, N, 0);
  for (let t = 0; t < steps; t++) grid.step(weights, gradient(t), LR, t % GAP === 0 ? choose(t / GAP) : undefined);
  return { weights, grid };
}

/** (length, k) of orthonormal columns: Gram-Schmidt of random ones, twice. */
function orthonormal(length: number, k: number, seed: number): Reals {
  const next = random(seed), vectors: Reals[] = [];
  while (vectors.length < k) {
    let vector: Reals = Float64Array.from({ length }, () => next() - 0.5);
    for (const other of [...vectors, ...vectors]) {
      const along = other.reduce((sum, x, i) => sum + x * vector[i]!, 0);
      vector = vector.map((x, i) => x - along * other[i]!);
    }
    const norm = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
    vectors.push(vector.map((x) => x / norm));
  }
  return Float64Array.from({ length: length * k }, (_, i) => vectors[i % k]![Math.floor(i / k)]!);
}
const unit = (length: number, indices: readonly number[]): Reals =>
  Float64Array.from(
    { length: length * indices.length },
    (_, i) => Number(Math.floor(i / indices.length) === indices[i % indices.length]!),
  );
const identity = (length: number): Reals => unit(length, [...Array(length).keys()]);
const bases: Choose = (s) => ({ left: orthonormal(M, 2, 2 * s + 1), right: orthonormal(N, 3, 2 * s + 2) });

test("density 1 is AdamW exactly, starting over at each switch", () => {
  const plain = run({ weight_decay: 0.1 }).weights,
    older = initialWeights(M, N, 0),
    state = [new Float64Array(M * N), new Float64Array(M * N)];
  for (const split of COORDINATES) {
    for (const state_free of ["no", "sign_sgd", "sgd", "row_normalized", "column_normalized"] as const) {
      assertClose(run({ split, state_free, weight_decay: 0.1 }, (s) => part(split, 1, s)).weights, plain, {
        name: `${split}, ${state_free}`,
      });
    }
  }
  const settings = { adam_beta1: 0.9, adam_beta2: 0.999, adam_epsilon: 1e-8, weight_decay: 0.1 };
  for (let t = 0; t < STEPS; t++) {
    if (t % GAP === 0) state.forEach((moment) => moment.fill(0));
    adamw([older, ...state], gradientAt(t, M, N, 0), LR, (t % GAP) + 1, settings);
  }
  assertClose(plain, older, { name: "the reference of adamw", absolute: 1e-15 });
});

test("density 0 and rank 0 are the state-free rule exactly, here signSGD", () => {
  const plain = run({ split: "none", state_free: "sign_sgd", weight_decay: 0.1 }).weights;
  const settings = { state_free: "sign_sgd", weight_decay: 0.1 } as const;
  for (const split of COORDINATES) {
    assertClose(run({ ...settings, split }, (s) => part(split, 0, s)).weights, plain, { name: split });
  }
  for (const split of ["left", "right", "full"] as const) {
    assertClose(
      run({ ...settings, split }, () => ({ left: new Float64Array(), right: new Float64Array() })).weights,
      plain,
      { name: split },
    );
  }
});

test(
  "a constant gradient makes every coordinate split signSGD: no coordinate is missed, counted twice or wrongly " +
    "corrected for its bias",
  () => {
    const gradient = gradientAt(0, M, N, 0),
      expected = initialWeights(M, N, 0).map((w, i) => w - LR * STEPS * Math.sign(gradient[i]!));
    for (const split of COORDINATES) {
      for (const density of [0.3, 0.5, 0.9]) {
        const { weights } = run({ split, state_free: "sign_sgd" }, (s) => part(split, density, s), {
          gradient: () => gradient,
        });
        // Epsilon is 1e-8 / |g| of every step.
        assertClose(weights, expected, {
          name: `${split} ${density}`,
          relative: 1.01e-8 * LR * STEPS,
          scale: gradient.map((g) => 1 / Math.abs(g)),
        });
      }
    }
  },
);

test("what is not active moves by exactly the inactive learning rate, what is active by its own rule", () => {
  for (const split of COORDINATES) {
    const chosen = part(split, split === "blocks" ? 0 : 0.5, 1);
    const space = {
      columns: (i: number) => i % N,
      rows: (i: number) => Math.floor(i / N),
      randk: (i: number) => i,
      blocks: () => 0,
    }[split];
    const { weights } = run({ split, state_free: "sign_sgd", inactive_lr_scale: 0.25, lr_scale: 0.5 }, () => chosen, {
      steps: 1,
    });
    const moved = weights.map((w, i) => (initialWeights(M, N, 0)[i]! - w) / LR),
      signs = gradientAt(0, M, N, 0).map(Math.sign);
    const active = new Set(Array.from(chosen.indices ?? []));
    // The first step of Adam is the sign too, but for epsilon. Differences of weights of 0.1 lose 1e-14 / LR.
    assertClose(moved, signs.map((sign, i) => sign * 0.5 * (active.has(space(i)) ? 1 : 0.25)), {
      name: split,
      absolute: 1e-6,
    });
  }
});

test(
  "FRUGAL with reset moments does not depend on the signs and the order of basis vectors; GaLore does after the " +
    "first refresh",
  () => {
    const vectors = (s: number, flip: boolean): Reals => {
      const left = orthonormal(M, 2, s + 1);
      return flip ? left.map((_, i) => -left[i ^ 1]!) : left;
    };
    const change = (settings: Partial<GridCase>, from: number, steps: number): number => {
      const [one, other] = [Infinity, from].map((first) =>
        run({ ...settings, split: "left" }, (s) => ({ left: vectors(s, s >= first) }), { steps }).weights
      );
      return one!.reduce((most, w, i) => Math.max(most, Math.abs(w - other![i]!)), 0);
    };
    const galore = { state_full: "adam_hf", moments: "keep" } as const;
    assert(change({ state_free: "sign_sgd" }, 0, STEPS) < 1e-14, "FRUGAL");
    assert(change(galore, 0, GAP) < 1e-14, "GaLore before the refresh");
    assert(change(galore, 1, STEPS) > 1e-3, "GaLore after it");
  },
);

test("a coordinate split is a basis of unit vectors, for every state-free rule", () => {
  const indices = [4, 1, 3], few = [2, 0];
  for (const state_free of STATE_FREE) {
    for (const state_full of ["adam", "adam_hf", "lion", "sgd"] as const) {
      const settings = { state_free, state_full, scale: 0.5, weight_decay: 0.1, momentum: 0.9 } as const,
        close = { name: `${state_free} ${state_full}`, absolute: 1e-14 };
      assertClose(
        run({ ...settings, split: "columns" }, () => ({ indices })).weights,
        run({ ...settings, split: "right" }, () => ({ right: unit(N, indices) })).weights,
        close,
      );
      assertClose(
        run({ ...settings, split: "rows" }, () => ({ indices: few })).weights,
        run({ ...settings, split: "left" }, () => ({ left: unit(M, few) })).weights,
        close,
      );
      const crossed = few.flatMap((i) => indices.map((j) => i * N + j));
      const full = run({ ...settings, split: "full" }, () => ({ left: unit(M, few), right: unit(N, indices) })).weights;
      assertClose(run({ ...settings, split: "randk" }, () => ({ indices: crossed })).weights, full, close);
    }
  }
});

test(
  "a complete basis leaves no residual: GaLore is Adam, Fira with alpha 1 is GaLore, FRUGAL's state-free rule " +
    "has nothing to do",
  () => {
    const hf = { state_full: "adam_hf", moments: "keep" } as const, plain = run(hf).weights;
    for (
      const [split, chosen] of [["left", { left: identity(M) }], ["right", { right: identity(N) }], ["full", {
        left: identity(M),
        right: identity(N),
      }]] as const
    ) {
      assertClose(run({ ...hf, split }, () => chosen).weights, plain, { name: `GaLore ${split}` });
      assertClose(run({ ...hf, split, state_free: "fira" }, () => chosen).weights, plain, { name: `Fira ${split}` });
    }
    const left = orthonormal(M, M, 5);
    assertEquals(
      run({ split: "left", state_free: "sign_sgd" }, () => ({ left })).weights,
      run({ split: "left", state_free: "no" }, () => ({ left })).weights,
    );
  },
);

test("APOLLO with a complete basis and no limiter moves W by lr · s · G · ‖N‖ / ‖R‖", () => {
  const gradient = gradientAt(0, M, N, 0), norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
  const settings = {
    split: "left",
    state_full: "adam_hf",
    adam_epsilon: 1e-14,
    state_free: "apollo",
    scale: 9,
    scale_type: "tensor",
    limiter: false,
  } as const;
  const { weights } = run(settings, () => ({ left: identity(M) }), { steps: 1 });
  // After one step m = 0.1 g and v = 0.001 g², so N = 0.1 sign(g) / sqrt(0.001) and s = sqrt(0.001) / 0.1. The floor is
  // 1e-8 beside a norm of 4.
  const expected = initialWeights(M, N, 0).map((w, i) => w - (LR * 3 * gradient[i]! * Math.sqrt(M * N)) / norm);
  assertClose(weights, expected, { name: "weights", absolute: 1e-8 * LR * 3 });
});

test("gradients a thousand times as large change nothing but what epsilon adds", () => {
  const next = random(3), signs = Float64Array.from({ length: M * N }, () => Math.sign(next() - 0.5));
  const gradient = (t: number): Reals => gradientAt(t, M, N, 0).map((g, i) => signs[i]! * (0.5 + Math.abs(g))),
    large = (t: number): Reals => gradient(t).map((g) => 1000 * g);
  for (const state_free of ["no", "sign_sgd", "row_normalized", "column_normalized", "fira", "apollo"] as const) {
    for (
      const [split, state_full] of [["columns", "lion"], ["rows", "adam"], ["full", "adam"], [
        "left",
        "adam_hf",
      ]] as const
    ) {
      const settings = { split, state_free, state_full, scale: 0.5, adam_epsilon: 1e-12 };
      const choose: Choose = (s) => (split === "columns" || split === "rows" ? part(split, 0.5, s) : bases(s));
      // 1e-12 and the floor of 1e-8 beside numbers that cancel down to 0.01: below 1e-6 of a step.
      assertClose(run(settings, choose, { gradient: large }).weights, run(settings, choose, { gradient }).weights, {
        name: `${state_free} ${split}`,
        absolute: 1e-6 * LR * STEPS,
      });
    }
  }
});

test(
  "rotated moments: after one step as if the new basis had been there from the first; the same vectors under " +
    "other names change nothing",
  () => {
    const complete: Choose = (s) => ({ left: orthonormal(M, M, s + 7), right: orthonormal(N, N, s + 17) });
    for (const split of ["left", "right", "full"] as const) {
      const rotated = createGrid({ split, moments: "rotate" }, M, N),
        straight = createGrid({ split, moments: "rotate" }, M, N),
        weights = initialWeights(M, N, 0);
      rotated.step(weights, gradientAt(0, M, N, 0), LR, complete(0));
      rotated.step(weights, gradientAt(1, M, N, 0), LR, complete(1));
      straight.step(weights, gradientAt(0, M, N, 0), LR, complete(1));
      straight.step(weights, gradientAt(1, M, N, 0), LR);
      for (const name of ["m", "v"] as const) {
        assertClose(rotated.state.moments[name], straight.state.moments[name], {
          name: `${split} ${name}`,
          absolute: 1e-14,
        });
      }
      assertEquals(rotated.state.moments.t, 2);
    }
    const left = orthonormal(M, 2, 1),
      right = orthonormal(N, 2, 2),
      renamed = (basis: Reals): Reals => basis.map((_, i) => (i % 2 ? -1 : 1) * basis[i ^ 1]!);
    for (const split of ["left", "right", "full"] as const) {
      for (const state_full of ["adam", "adam_hf", "sgd"] as const) {
        const settings = { split, state_full, momentum: 0.9 } as const,
          kept = run({ ...settings, moments: "keep" }, () => ({ left, right })).weights;
        const rotated = run(
          { ...settings, moments: "rotate" },
          (s) => (s % 2 ? { left: renamed(left), right: renamed(right) } : { left, right }),
        ).weights;
        assertClose(rotated, kept, { name: `${split} ${state_full}`, absolute: 1e-13 });
      }
    }
  },
);

test("rotated moments: LDAdam's formula, written out for a turn of two numbers", () => {
  const cos = Math.cos(0.4),
    sin = Math.sin(0.4),
    turned = Float64Array.of(cos, -sin, sin, cos),
    zero = new Float64Array(2);
  for (const [split, m, n] of [["left", 2, 1], ["right", 1, 2]] as const) {
    const grid = createGrid({ split, moments: "rotate" }, m, n),
      weights = new Float64Array(2),
      basis = (vectors: Reals): Chosen => ({ left: vectors, right: vectors });
    grid.step(weights, Float64Array.of(1, -2), LR, basis(identity(2)));
    grid.step(weights, Float64Array.of(0.5, 3), LR);
    const [m0, m1] = [...grid.state.moments.m] as [number, number],
      [v0, v1] = [...grid.state.moments.v] as [number, number],
      c1 = 1 - 0.9 ** 2,
      c2 = 1 - 0.999 ** 2;
    const mean = [cos * m0 + sin * m1, cos * m1 - sin * m0] as const,
      spread = [v0 / c2 - (m0 / c1) ** 2, v1 / c2 - (m1 / c1) ** 2] as const;
    const square = [
      cos ** 2 * spread[0] + sin ** 2 * spread[1] + (mean[0] / c1) ** 2,
      sin ** 2 * spread[0] + cos ** 2 * spread[1] + (mean[1] / c1) ** 2,
    ];
    // A gradient of 0 then shrinks what was rotated.
    grid.step(weights, zero, LR, basis(turned));
    assertClose(grid.state.moments.m, mean.map((x) => 0.9 * x), { name: `${split} m`, absolute: 1e-15 });
    assertClose(grid.state.moments.v, square.map((x) => 0.999 * Math.abs(c2 * x)), {
      name: `${split} v`,
      absolute: 1e-15,
    });
  }
});

test(
  "normalized rows and columns: every line's root mean square is the learning rate, over the whole line even " +
    "where a part of it is active",
  () => {
    const moved = (settings: Partial<GridCase>, choose?: Choose): Reals =>
      run(settings, choose, { steps: 1 }).weights.map((w, i) => (initialWeights(M, N, 0)[i]! - w) / LR);
    const rows = moved({ split: "none", state_free: "row_normalized" }),
      columns = moved({ split: "none", state_free: "column_normalized" });
    const meanSquare = (x: Reals, members: (i: number) => boolean, length: number): number =>
      x.reduce((sum, value, i) => sum + (members(i) ? value * value : 0), 0) / length;
    for (let i = 0; i < M; i++) {
      assertClose([meanSquare(rows, (k) => Math.floor(k / N) === i, N)], [1], { name: `row ${i}`, absolute: 1e-7 });
    }
    for (let j = 0; j < N; j++) {
      assertClose([meanSquare(columns, (k) => k % N === j, M)], [1], { name: `column ${j}`, absolute: 1e-7 });
    }
    const inactive = moved({ split: "columns", state_free: "row_normalized" }, () => ({ indices: [0, 2] }));
    for (let i = 0; i < M; i++) {
      assertClose([meanSquare(inactive, (k) => Math.floor(k / N) === i && k % N !== 0 && k % N !== 2, N)], [1], {
        name: `part of row ${i}`,
        absolute: 1e-7,
      });
    }
  },
);

test("blocks always forget their moments, a block that is off keeps none, and a zero gradient moves nothing", () => {
  const { grid } = run({ split: "blocks", moments: "keep", state_free: "sign_sgd" }, (s) => ({ active: s !== 2 }));
  assertEquals([grid.state.moments.m.length, grid.state.moments.t], [0, 2]);
  assertEquals(
    run({ split: "blocks", moments: "keep" }, () => ({ active: true }), { steps: 4 }).grid.state.moments.t,
    1,
  );
  for (const state_free of STATE_FREE) {
    for (const state_full of ["adam", "adam_hf", "lion", "sgd"] as const) {
      assertEquals(
        run({ split: "full", state_free, state_full }, bases, { gradient: () => new Float64Array(M * N) }).weights,
        initialWeights(M, N, 0),
        `${state_free} ${state_full}`,
      );
    }
  }
});

test("a choice that is missing or does not fit is an error", () => {
  assertThrows(() => run({ split: "columns" }), "was not told what to choose");
  assertThrows(
    () => run({ split: "columns", moments: "keep" }, (s) => ({ indices: s ? [1] : [1, 2] })),
    "cannot be kept",
  );
  assertThrows(() => run({ split: "columns", moments: "rotate" }, (s) => ({ indices: [s] })), "between bases only");
});

test("the products of bases are taken on the side where they belong", () => {
  const left = orthonormal(M, 2, 1), right = orthonormal(N, 3, 2), gradient = gradientAt(0, M, N, 0);
  const expected = matmul("NN", matmul("TN", left, gradient, { M: 2, N, K: M }), right, { M: 2, N: 3, K: N });
  const grid = createGrid({ split: "full", state_full: "sgd" }, M, N);
  grid.step(initialWeights(M, N, 0), gradient, LR, { left, right });
  assertClose(grid.state.moments.m, expected, { name: "momentum after one step" });
});
