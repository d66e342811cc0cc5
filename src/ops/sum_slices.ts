import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { GradientTarget, Recorder } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import sumSlicesCode from "../../shaders/sum_slices.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const definition = {
  code: sumSlicesCode,
  libraries: [threadCode],
  params: { n: "u32", count: "u32", out_offset: "u32" },
  constants: { WORKGROUP: 64, ACCUMULATE: false, ADD: false },
  groups: perThread,
} as const;
const sumSlicesKernel = defineKernel({
  ...definition,
  name: "sum_slices",
  bindings: { slices: "read", out: "read_write" },
});
const sumSlicesAddKernel = defineKernel({
  ...definition,
  name: "sum_slices_add",
  bindings: { slices: "read", addend: "read", out: "read_write" },
  constants: { ...definition.constants, ADD: true },
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
  const params = { n: rest.reduce((a, b) => a * b, 1), count, out_offset };
  if (addend) r.run(sumSlicesAddKernel, { slices, addend, out: target.tensor }, params);
  else r.run(sumSlicesKernel.with({ ACCUMULATE: target.accumulate }), { slices, out: target.tensor }, params);
}
