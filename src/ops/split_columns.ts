import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import copyColumnsCode from "../../shaders/copy_columns.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const common = {
  code: copyColumnsCode,
  libraries: [threadCode],
  params: { n: "u32", C: "u32", width: "u32", first: "u32" },
  groups: perThread,
} as const;
const constants = { WORKGROUP: 64, ACCUMULATE: false, INTO: false, ...SCALAR };
const takeKernel = defineKernel({
  ...common,
  name: "take_columns",
  reads: { whole: "numbers" },
  writes: { part: "numbers" },
  constants,
});
const putKernel = defineKernel({
  ...common,
  name: "put_columns",
  reads: { part: "numbers" },
  writes: { whole: "numbers" },
  constants: { ...constants, INTO: true },
});

/**
 * The columns of x (N, count*C) in `count` parts (N, C): queries, keys and values of one fused projection.
 * @throws RangeError if `count` does not divide them; in the backward pass Error if a part has no gradient because
 * nobody has used it.
 */
export function splitColumns(r: Recorder, x: Variable, count: number): readonly Variable[] {
  const [N, columns] = x.value.shape as [number, number], C = columns / count;
  if (!Number.isInteger(C)) {
    throw new RangeError(
      `Cannot split the columns of ${x.value.label} (${x.value.shape}) into ${count} parts: expected a divisor of ` +
        `${columns}`,
    );
  }
  const { constants: vectors, width } = vectorsOf(C);
  const params = (index: number) => ({
    n: (N * C) / width,
    C: C / width,
    width: columns / width,
    first: (index * C) / width,
  });
  const parts = [...Array(count).keys()].map((index) => ({
    value: r.activation(`part ${index}`, [N, C]),
    needsGradient: x.needsGradient,
  }));
  parts.forEach(({ value }, index) => r.run(takeKernel.with(vectors), { whole: x.value, part: value }, params(index)));
  // The parts have one entry: only together they fill a gradient.
  r.onBackward(parts[0]!, [x], () => {
    const { tensor: whole, accumulate } = r.gradientFor(x)!;
    parts.forEach((part, index) => {
      const gradient = r.gradientOf(part);
      if (!gradient) {
        throw new Error(
          `Cannot record the backward pass of splitColumns() of ${x.value.label}: part ${index} has no gradient, ` +
            "expected all parts to be used",
        );
      }
      r.run(putKernel.with({ ...vectors, ACCUMULATE: accumulate }), { part: gradient, whole }, params(index));
    });
  });
  return parts;
}
