// Steps for tests of the planner, made by hand: kernels that will never run.

import { defineKernel } from "../../src/gpu/kernel.ts";
import type { Program, Step } from "../../src/plan/recorder.ts";
import { type Role, type Tensor, tensor } from "../../src/plan/tensor.ts";

/** A step that reads and writes the given tensors. */
export function step(
  name: string,
  reads: readonly Tensor[],
  writes: readonly Tensor[],
  params: Readonly<Record<string, number>> = {},
): Step {
  const named = (letter: string, tensors: readonly Tensor[]) =>
    Object.fromEntries(tensors.map((_, i) => [`${letter}${i}`, "array<f32>"]));
  const kernel = defineKernel({
    name,
    code: "",
    reads: named("r", reads),
    writes: named("w", writes),
    params: Object.fromEntries(Object.keys(params).map((id) => [id, "u32" as const])),
    groups: () => 1,
  }).bind(Object.fromEntries([
    ...reads.map((_, i) => [`r${i}`, "f32" as const]),
    ...writes.map((_, i) => [`w${i}`, "f32" as const]),
  ]));
  return { kernel, tensors: [...reads, ...writes], params, dispatchSize: [1, 1, 1] };
}

export const program = (steps: readonly Step[], name = "program"): Program => ({ name, steps });

export const floats = (label: string, length: number, role: Role = "activation"): Tensor =>
  tensor(label, [length], role);
