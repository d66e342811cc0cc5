import { assertThrows, random, test } from "../harness.ts";
import * as reference from "../reference/ops.ts";
import { TOLERANCES } from "../tolerances.ts";
import { add, fill } from "../../src/ops/elementwise.ts";
import { multiply } from "../../src/ops/multiply.ts";
import { swiglu } from "../../src/ops/swiglu.ts";
import { Recorder, type Variable } from "../../src/plan/recorder.ts";
import { tensor } from "../../src/plan/tensor.ts";
import { checkOps, type Expected, type OpCase } from "./run_op.ts";
import { uniform } from "./values.ts";

const SIZES = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 315, 1031];

const copy = (value: reference.Reals): Expected => ({ value, tolerance: TOLERANCES.exact });

/** One rounding of the sum itself. */
const sum = (value: reference.Reals): Expected => ({ value, tolerance: TOLERANCES.add });

test("multiply(): the product and both gradients, of a square too", async () => {
  await checkOps(SIZES.flatMap((n): OpCase[] => {
    const next = random(n), x = uniform(next, n), y = uniform(next, n), dz = uniform(next, n);
    const one = (value: reference.Reals): Expected => ({ value, tolerance: TOLERANCES.multiply });
    return [{
      name: `multiply ${n}`,
      variables: { x: { shape: [n], values: x }, y: { shape: [n], values: y } },
      record: (r, { x, y }) => ({ z: multiply(r, x!, y!) }),
      seeds: { z: dz },
      expected: {
        z: one(reference.multiply(x, y)),
        dx: one(reference.multiply(dz, y)),
        dy: one(reference.multiply(dz, x)),
      },
    }, {
      name: `square ${n}`,
      variables: { x: { shape: [n], values: x } },
      record: (r, { x }) => ({ z: multiply(r, x!, x!) }),
      seeds: { z: dz },
      // Two rounded products are added.
      expected: {
        z: one(reference.multiply(x, x)),
        dx: { value: reference.multiply(dz, x).map((v) => 2 * v), tolerance: TOLERANCES.multiply, terms: 2 },
      },
    }];
  }));
});

test("multiply() refuses tensors of different shape", () => {
  const variable = (label: string, shape: number[]): Variable => ({
    value: tensor(label, shape, "trainable"),
    needsGradient: true,
  });
  const r = new Recorder({ target: "portable", training: true });
  assertThrows(
    () => multiply(r, variable("x", [2, 3]), variable("y", [3, 2])),
    "Cannot multiply tensors of different shape: (2,3) and (3,2)",
  );
});

test("add(): y and both gradients", async () => {
  await checkOps(SIZES.map((n): OpCase => {
    const next = random(n), x = uniform(next, n), y = uniform(next, n), dz = uniform(next, n);
    return {
      name: `add ${n}`,
      variables: { x: { shape: [n], values: x }, y: { shape: [n], values: y } },
      record: (r, { x, y }) => ({ z: add(r, x!, y!) }),
      seeds: { z: dz },
      expected: { z: sum(reference.add(x, y)), dx: copy(dz), dy: copy(dz) },
    };
  }));
});

test("add(): an operand used again gets both gradients, also when it is both operands", async () => {
  await checkOps([1, 64, 65, 200].map((n): OpCase => {
    const next = random(n), x = uniform(next, n), y = uniform(next, n), da = uniform(next, n), db = uniform(next, n);
    const dx = da.map((d, i) => Math.fround(Math.fround(d + db[i]!) + db[i]!));
    return {
      name: `add ${n}, x three times`,
      variables: { x: { shape: [n], values: x }, y: { shape: [n], values: y, frozen: true } },
      record: (r, { x, y }) => ({ a: add(r, x!, y!), b: add(r, x!, x!) }),
      seeds: { a: da, b: db },
      // The order of the three terms is the recorder's, so each sum may round.
      expected: {
        a: sum(reference.add(x, y)),
        b: sum(reference.add(x, x)),
        dx: { ...sum(dx), scale: da.map((d, i) => 3 * (Math.abs(d) + 2 * Math.abs(db[i]!))) },
      },
    };
  }));
});

test("add(): refuses operands of different shape", () => {
  const r = new Recorder({ target: "portable", training: true });
  const variable = (shape: readonly number[]): Variable => ({
    value: tensor("x", shape, "frozen"),
    needsGradient: false,
  });
  assertThrows(
    () => add(r, variable([2, 3]), variable([3, 2])),
    "Cannot add tensors of different shape: (2,3) and (3,2)",
  );
});

test("fill(): every element, none behind", async () => {
  await checkOps([1, 63, 64, 65, 1031].map((n): OpCase => ({
    name: `fill ${n}`,
    variables: {},
    record: (r) => {
      const x = r.tensor("x", [n], "scratch");
      fill(r, x, -1.5);
      return { x: { value: x, needsGradient: false } };
    },
    expected: { x: copy(new Float64Array(n).fill(-1.5)) },
  })));
});

function swigluCase(n: number, range: number): OpCase {
  const next = random(n), gate = uniform(next, n, range), up = uniform(next, n), dy = uniform(next, n);
  const { dgate, dup } = reference.swigluBackward(gate, up, dy);
  const s = gate.map(reference.sigmoid);
  // exp(-g) is off by a share of |g|. Below -80 the kernel's clamp leaves g e^-80, as good as nothing: less than EPS *
  // 1e-24.
  const rough = (value: number, g: number): number => Math.abs(value) * (1 + Math.abs(g)) + 1e-24;
  const tolerance = TOLERANCES.swiglu;
  return {
    name: `swiglu ${n} of +-${range}`,
    variables: { gate: { shape: [n], values: gate }, up: { shape: [n], values: up } },
    record: (r, { gate, up }) => ({ y: swiglu(r, gate!, up!) }),
    seeds: { y: dy },
    expected: {
      y: { value: reference.swiglu(gate, up), scale: gate.map((g, i) => rough(g * s[i]! * up[i]!, g)), tolerance },
      dgate: {
        value: dgate,
        scale: gate.map((g, i) => rough(dy[i]! * up[i]! * s[i]! * (1 + Math.abs(g) * (1 - s[i]!)), g)),
        tolerance,
      },
      dup: { value: dup, scale: gate.map((g, i) => rough(dy[i]! * g * s[i]!, g)), tolerance },
    },
  };
}

test("swiglu(): y, dgate and dup, which replace gate and up", async () => {
  await checkOps([...SIZES.map((n) => swigluCase(n, 4)), swigluCase(317, 30), swigluCase(317, 200)]);
});

test("swiglu(): far from 0 it is the gate or nothing, and nothing overflows", async () => {
  const gate = Float64Array.of(-30000, -1000, -88, 0, 88, 1000, 30000),
    one = gate.map(() => 1),
    tolerance = TOLERANCES.swiglu;
  const relu = gate.map((g) => Math.max(0, g)), scale = gate.map((g) => Math.max(1e-20, g));
  await checkOps([{
    name: "swiglu of extremes",
    variables: { gate: { shape: [7], values: gate }, up: { shape: [7], values: one } },
    record: (r, { gate, up }) => ({ y: swiglu(r, gate!, up!) }),
    seeds: { y: one },
    expected: {
      y: { value: relu, scale, tolerance },
      dgate: { value: gate.map((g) => (g === 0 ? 0.5 : Number(g > 0))), scale: one, tolerance },
      dup: { value: relu, scale, tolerance },
    },
  }]);
});
