import { assert, assertEquals, assertThrows, random, test } from "../harness.ts";
import { addBias, biasBackward, matmul, type MatmulSize, type Reals, transpose } from "../reference/ops.ts";
import { TOLERANCES } from "../tolerances.ts";
import { linear } from "../../src/ops/linear.ts";
import { scale } from "../../src/ops/scale.ts";
import { Recorder } from "../../src/plan/recorder.ts";
import { tensor } from "../../src/plan/tensor.ts";
import { checkOps, type Expected, type OpCase, recordCase } from "./run_op.ts";
import { absolute, uniform } from "./values.ts";

const SIZES: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [1, 2, 3],
  [3, 1, 2],
  [2, 3, 1],
  [7, 8, 9],
  [9, 7, 8],
  [15, 16, 17],
  [33, 31, 32],
  [63, 64, 65],
  [65, 68, 63],
  [128, 129, 127],
  [64, 64, 64],
  [1, 128, 64],
  [315, 4, 3],
];

type Mode = "NT" | "NN" | "TN";

function product(mode: Mode, a: Reals, b: Reals, size: MatmulSize): Expected {
  return {
    value: matmul(mode, a, b, size),
    scale: matmul(mode, absolute(a), absolute(b), size),
    tolerance: TOLERANCES.matmul,
    terms: size.K,
  };
}

/** x plus a bias or a residual. */
const plus = (x: Expected, y: Reals): Expected => ({
  ...x,
  value: addBias(x.value, y),
  scale: addBias(x.scale!, absolute(y)),
});

interface Options {
  readonly transposed?: boolean;
  readonly bias?: boolean;
  readonly residual?: boolean;
  /** y into the residual's own tensor. */
  readonly inPlace?: boolean;
  readonly frozen?: readonly string[];
}

/** y = x Wᵀ + b + residual and all gradients. `M` rows, `N` outputs. */
function linearCase(
  [M, N, K]: readonly [number, number, number],
  { transposed = false, bias = false, residual = false, inPlace = false, frozen = [] }: Options,
): OpCase {
  const next = random(M * 1e6 + N * 1e3 + K),
    x = uniform(next, M * K),
    w = uniform(next, N * K),
    dy = uniform(next, M * N);
  const b = uniform(next, N), rest = uniform(next, M * N);
  const stored = transposed ? transpose(w, N, K) : w;
  const dw = product("TN", dy, x, { M: N, N: K, K: M }),
    storedOf = (values: Reals): Reals => (transposed ? transpose(values, N, K) : values);
  const all: Record<string, Expected> = {
    dx: product("NN", dy, w, { M, N: K, K: N }),
    dw: { ...dw, value: storedOf(dw.value), scale: storedOf(dw.scale!) },
    ...(bias &&
      {
        db: {
          value: biasBackward(dy, N),
          scale: biasBackward(absolute(dy), N),
          tolerance: TOLERANCES.matmul,
          terms: M,
        },
      }),
    ...(residual && { drest: { value: dy, tolerance: TOLERANCES.exact } }),
  };
  const gradients = Object.fromEntries(Object.entries(all).filter(([name]) => !frozen.includes(name.slice(1))));
  const forward = product("NT", x, w, { M, N, K }), biased = bias ? plus(forward, b) : forward;
  const variable = (name: string, shape: readonly number[], values: Reals) => ({
    [name]: { shape, values, frozen: frozen.includes(name) },
  });
  return {
    name: `linear (${M}, ${K}) -> ${N}, ${JSON.stringify({ transposed, bias, residual, inPlace, frozen })}`,
    variables: {
      ...variable("x", [M, K], x),
      ...variable("w", transposed ? [K, N] : [N, K], stored),
      ...(bias && variable("b", [N], b)),
      ...(residual && variable("rest", [M, N], rest)),
    },
    record: (r, { x, w, b, rest }) => ({
      y: linear(r, x!, w!, {
        ...(b && { bias: b }),
        ...(rest && { residual: rest, ...(inPlace && { out: rest.value }) }),
        transposed,
      }),
    }),
    seeds: { y: dy },
    expected: { y: residual ? plus(biased, rest) : biased, ...gradients },
  };
}

test("linear(): a bias, and its gradient", async () => {
  await checkOps([...SIZES, [1000, 12, 2] as const].map((size) => linearCase(size, { bias: true })));
});

test("linear(): a weight that is stored (in, out)", async () => {
  await checkOps(SIZES.map((size) => linearCase(size, { transposed: true, bias: true })));
});

test("linear(): bias and residual, in the residual's own tensor too", async () => {
  const sizes = SIZES.filter((_, i) => i % 2 === 0);
  const all: readonly Options[] = [{ bias: true, residual: true }, { residual: true, inPlace: true }, {
    bias: true,
    transposed: true,
    residual: true,
    inPlace: true,
  }];
  await checkOps(sizes.flatMap((size) => all.map((options) => linearCase(size, options))));
});

test("linear(): every operand frozen in turn", async () => {
  const all = ["x", "w", "b", "rest"], options = { bias: true, residual: true };
  // A residual with a gradient alone records nothing: the seed is its gradient.
  const sets = all.flatMap((name) => [[name], ...(name === "rest" ? [] : [all.filter((other) => other !== name)])]);
  await checkOps(
    [false, true].flatMap((transposed) =>
      sets.map((frozen) => linearCase([9, 12, 7], { ...options, transposed, frozen }))
    ),
  );
});

/** The numbers themselves, or their absolute values. */
type Take = (values: Reals) => Reals;

/** LoRA as models record it: y = x Wᵀ + B (2 A x), added to the tensor of x Wᵀ, W frozen. */
test("linear(): a low-rank part is added in place, and both get the gradient", async () => {
  await checkOps(([[5, 6, 7, 2], [33, 64, 32, 8], [9, 5, 3, 1]] as const).map(([M, N, K, rank]): OpCase => {
    const next = random(M),
      values = {
        x: uniform(next, M * K),
        w: uniform(next, N * K),
        a: uniform(next, rank * K),
        b: uniform(next, N * rank),
      },
      dy = uniform(next, M * N);
    const { x, w, a, b } = values, twice = (values: Reals): Reals => values.map((value) => 2 * value);
    const of = (take: Take, mode: Mode, p: Reals, q: Reals, size: MatmulSize): Reals =>
      matmul(mode, take(p), take(q), size);
    const expected = (terms: number, formula: (take: Take) => Reals): Expected => ({
      value: formula((v) => v),
      scale: formula(absolute),
      tolerance: TOLERANCES.matmul,
      terms,
    });
    const inner = (take: Take): Reals => twice(of(take, "NT", x, a, { M, N: rank, K })),
      dInner = (take: Take): Reals => twice(of(take, "NN", dy, b, { M, N: rank, K: N }));
    const sum = (p: Reals, q: Reals): Reals => p.map((value, i) => value + q[i]!);
    return {
      name: `LoRA (${M}, ${K}) -> ${N} of rank ${rank}`,
      variables: {
        x: { shape: [M, K], values: x },
        w: { shape: [N, K], values: w, frozen: true },
        a: { shape: [rank, K], values: a },
        b: { shape: [N, rank], values: b },
      },
      record: (r, { x, w, a, b }) => {
        const base = linear(r, x!, w!), inner = linear(r, x!, a!);
        scale(r, inner, 2);
        return { y: linear(r, inner, b!, { residual: base, out: base.value }) };
      },
      seeds: { y: dy },
      expected: {
        y: expected(
          K + rank,
          (take) => sum(of(take, "NT", x, w, { M, N, K }), matmul("NT", inner(take), take(b), { M, N, K: rank })),
        ),
        dx: expected(
          K + N + rank,
          (take) =>
            sum(of(take, "NN", dy, w, { M, N: K, K: N }), matmul("NN", dInner(take), take(a), { M, N: K, K: rank })),
        ),
        da: expected(M + N, (take) => matmul("TN", dInner(take), take(x), { M: rank, N: K, K: M })),
        db: expected(M + K, (take) => matmul("TN", take(dy), inner(take), { M: N, N: rank, K: M })),
      },
    };
  }));
});

test("linear(): into its residual it makes no activation", () => {
  const made = (inPlace: boolean): string[] => {
    const { program } = recordCase(linearCase([3, 4, 5], { residual: true, inPlace, frozen: ["w"] }), "portable");
    return [...new Set(program.steps.flatMap(({ tensors }) => tensors))].filter(({ role }) => role === "activation")
      .map(({ label }) => label);
  };
  assertEquals(made(true), []);
  assert(made(false).length === 1, "without it there is one");
});

test("linear(): a frozen weight may be stored as bf16, in both layouts", () => {
  for (const transposed of [false, true]) {
    const r = new Recorder({ target: "portable", training: true });
    const x = { value: tensor("x", [4, 8], "trainable"), needsGradient: true };
    const w = { value: tensor("w", transposed ? [8, 12] : [12, 8], "frozen", "bf16"), needsGradient: false };
    r.setGradient(linear(r, x, w, { transposed }), tensor("dy", [4, 12], "state"));
    r.backward();
    const kernels = r.steps.map(({ kernel }) => kernel.constants["B_PACKED"]);
    assertEquals(kernels, [true, true], `transposed ${transposed}: y and dx read it as it is stored`);
  }
});

test("linear(): refuses shapes that do not match", () => {
  const with_ = (changes: Readonly<Record<string, readonly number[]>>, options: Options): void => {
    const one = linearCase([2, 3, 4], options);
    const variables = Object.fromEntries(
      Object.entries(changes).map(([name, shape]) => [name, {
        shape,
        values: new Float64Array(shape.reduce((a, b) => a * b, 1)),
      }]),
    );
    recordCase({ ...one, variables: { ...one.variables, ...variables } }, "portable");
  };
  assertThrows(() => with_({ w: [3, 5] }, {}), "with w: x is (2,4), expected (N, 5)");
  assertThrows(() => with_({ w: [5, 3] }, { transposed: true }), "with w: x is (2,4), expected (N, 5)");
  assertThrows(() => with_({ b: [4] }, { bias: true }), "with b (4): expected (3)");
});
