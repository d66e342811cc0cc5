import { assert, assertClose, assertEquals, assertThrows, random, test } from "../harness.ts";
import { checkOps, type Expected, type OpCase } from "../ops/run_op.ts";
import { absolute, uniform } from "../ops/values.ts";
import { matmul, type MatmulSize, type Reals } from "../reference/ops.ts";
import { TOLERANCES } from "../tolerances.ts";
import { createLowRankLinear } from "../../src/models/low_rank_linear.ts";
import { applyLinear } from "../../src/models/linear_layer.ts";
import { initialValues, type Parameter } from "../../src/models/parameter.ts";
import type { Variable } from "../../src/plan/recorder.ts";

interface Case {
  /** x: (N, width), A: (rank, width), B: (out, rank). */
  readonly N: number;
  readonly width: number;
  readonly out: number;
  readonly rank: number;
  readonly scale: number;
  readonly residual?: boolean;
  /** Names of variables that get no gradient. */
  readonly frozen?: readonly string[];
}

const asParameter = (variable: Variable): Parameter =>
  Object.assign(variable, { kind: "linear" as const, initial: "ones" as const });

function projectionCase({ N, width, out, rank, scale, residual = false, frozen = [] }: Case): OpCase {
  const next = random(N * 1e6 + width * 1e3 + rank);
  const x = uniform(next, N * width),
    a = uniform(next, rank * width),
    b = uniform(next, out * rank),
    dy = uniform(next, N * out),
    addend = uniform(next, N * out);
  // The host hands the shader a rounded scale.
  const factor = Math.fround(scale), times = (values: Reals): Reals => values.map((value) => value * factor);
  const inner: MatmulSize = { M: N, N: rank, K: width };
  const outputs = (x: Reals, a: Reals, b: Reals, dy: Reals, addend: Reals) => {
    const h = times(matmul("NT", x, a, inner)), dh = times(matmul("NN", dy, b, { M: N, N: rank, K: out }));
    return {
      y: matmul("NT", h, b, { M: N, N: out, K: rank }).map((value, i) => value + (residual ? addend[i]! : 0)),
      dx: matmul("NN", dh, a, { M: N, N: width, K: rank }),
      da: matmul("TN", dh, x, { M: rank, N: width, K: N }),
      db: matmul("TN", dy, h, { M: out, N: rank, K: N }),
      daddend: dy,
    };
  };
  const values = outputs(x, a, b, dy, addend),
    scales = outputs(absolute(x), absolute(a), absolute(b), absolute(dy), absolute(addend));
  // A sum of rounded sums: the random walk of either length, one after the other, is at most that of twice both.
  const terms = { y: 2 * (width + rank), dx: 2 * (out + rank), da: 2 * (out + N), db: 2 * (width + N), daddend: 1 };
  const expected = (name: keyof typeof values): Expected => ({
    value: values[name],
    scale: scales[name],
    tolerance: TOLERANCES.matmul,
    terms: terms[name],
  });
  const variable = (name: string, shape: readonly number[], of: Reals) => ({
    [name]: { shape, values: of, frozen: frozen.includes(name) },
  });
  const wanted = (["dx", "da", "db", "daddend"] as const).filter((name) =>
    !frozen.includes(name.slice(1)) && (residual || name !== "daddend")
  );
  return {
    name: `projection (${N}, ${width}) -> ${rank} -> ${out} times ${scale}${
      residual ? " with residual" : ""
    }, frozen [${frozen}]`,
    variables: {
      ...variable("x", [N, width], x),
      ...variable("a", [rank, width], a),
      ...variable("b", [out, rank], b),
      ...(residual ? variable("addend", [N, out], addend) : {}),
    },
    record: (r, { x, a, b, addend }) => ({
      y: applyLinear(
        r,
        x!,
        { layerKind: "factors", name: "layer", a: asParameter(a!), b: asParameter(b!), scale: factor },
        addend ? { residual: addend } : {},
      ),
    }),
    seeds: { y: dy },
    expected: { y: expected("y"), ...Object.fromEntries(wanted.map((name) => [name, expected(name)])) },
  };
}

test("projection(): y and all gradients of factors, around tiles, vectors of four and their rests", async () => {
  await checkOps(
    [[1, 1, 1, 1], [3, 5, 7, 2], [5, 7, 3, 3], [16, 32, 24, 8], [33, 65, 31, 17], [64, 128, 96, 32], [2, 315, 4, 3]]
      .flatMap(([N, width, out, rank]) => {
        const sizes = { N: N!, width: width!, out: out!, rank: rank! };
        return [
          projectionCase({ ...sizes, scale: 0.25 }),
          projectionCase({ ...sizes, scale: 1, residual: true }),
          projectionCase({ ...sizes, scale: 32 / 24, residual: true }),
        ];
      }),
  );
});

test("projection(): what is frozen has no gradient and changes nobody else's", async () => {
  const sizes = { N: 9, width: 20, out: 12, rank: 4, scale: 0.7, residual: true };
  await checkOps(
    [["x"], ["a"], ["b"], ["addend"], ["a", "b"], ["x", "a"]].map((frozen) => projectionCase({ ...sizes, frozen })),
  );
});

test("factorised(): names, shapes, scale, and initial values uniform within 1 / sqrt(columns)", () => {
  const weight = createLowRankLinear("model.layers.0.mlp.up_proj", 60, 400, { rank: 25, alpha: 50 });
  assertEquals(weight.scale, 2);
  for (
    const [{ value, initial }, label, shape, bound] of [
      [weight.a, "model.layers.0.mlp.up_proj.low_rank_a.weight", [25, 400], 0.05],
      [weight.b, "model.layers.0.mlp.up_proj.low_rank_b.weight", [60, 25], 0.2],
    ] as const
  ) {
    assertEquals([value.label, value.shape, value.role, initial], [label, shape, "trainable", { uniform: bound }]);
  }
  const values = initialValues(weight.a, 1),
    mean = (f: (x: number) => number): number => values.reduce((sum, x) => sum + f(x), 0) / values.length;
  assert(
    values.every((x) => Math.abs(x) <= Math.fround(0.05)) && values.some((x) => x > 0.0499) &&
      values.some((x) => x < -0.0499),
    "in the whole range and no other",
  );
  // 10000 draws: standard errors of 0.003 and 0.003 of these means.
  assertClose([mean((x) => 20 * x), mean((x) => (20 * x) ** 2)], [0, 1 / 3], { name: "moments", absolute: 0.02 });
  assertEquals(initialValues(weight.a, 1), values, "the same seed");
  assert(initialValues(weight.a, 2).every((x, i) => x !== values[i]), "another seed");
  assert(initialValues(weight.b, 1).every((x, i) => x / 0.2 !== values[i]! / 0.05), "another name");
});

test("factorised(): refuses ranks that are none", () => {
  for (const rank of [0, 13, 2.5, NaN]) {
    assertThrows(
      () => createLowRankLinear("q_proj", 12, 20, { rank, alpha: 32 }),
      `Cannot factorise q_proj (12,20) with rank ${rank}: expected a whole number from 1 to 12`,
    );
  }
});
