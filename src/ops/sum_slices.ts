import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { GradientTarget, Recorder } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import sumSlicesCode from "../../shaders/sum_slices.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const sumSlicesKernel = defineKernel({
  name: "sum_slices",
  code: sumSlicesCode,
  libraries: [threadCode],
  reads: { slices: "array<Vector>", addend: "numbers?" },
  writes: { out: "numbers" },
  params: { n: "u32", count: "u32", out_offset: "u32" },
  constants: { WORKGROUP: 64, ACCUMULATE: false, ...SCALAR },
  groups: perThread,
});

/**
 * Records out = sum of `slices` (count, …), in order, from element `out_offset` on; or out += it if
 * `target.accumulate`, or out = addend + it. The second half of every sum that is split between workgroups.
 */
export function sumSlices(
  r: Recorder,
  slices: Tensor,
  target: GradientTarget,
  { addend, out_offset = 0 }: { readonly addend?: Tensor | undefined; readonly out_offset?: number } = {},
): void {
  const [count, ...rest] = slices.shape as [number, ...number[]];
  const n = rest.reduce((a, b) => a * b, 1), { constants, width } = vectorsOf(n % 4 === 0 ? out_offset : 1);
  const kernel = sumSlicesKernel.with({ ...constants, ACCUMULATE: target.accumulate && !addend });
  const params = { n: n / width, count, out_offset: out_offset / width };
  r.run(kernel, { slices, addend, out: target.tensor }, params);
}
