// Steps for tests of the planner, made by hand: kernels that will never run.

import { type Access, defineKernel } from "../../src/gpu/kernel.ts";
import type { Program, Step } from "../../src/plan/recorder.ts";
import { type Role, type Tensor, tensor } from "../../src/plan/tensor.ts";

/** A step that reads and writes the given tensors. */
export function step(
  name: string,
  reads: readonly Tensor[],
  writes: readonly Tensor[],
  params: Readonly<Record<string, number>> = {},
): Step {
  const bindings: [string, Access][] = [
    ...reads.map((_, i): [string, Access] => [`r${i}`, "read"]),
    ...writes.map((_, i): [string, Access] => [`w${i}`, "read_write"]),
  ];
  const declared = bindings.map(([id, access], i) =>
    `@group(0) @binding(${i}) var<storage, ${access}> ${id}: array<f32>;`
  ).join("\n");
  const fields = Object.keys(params).map((id) => `${id}: u32`).join(", ");
  const kernel = defineKernel({
    name,
    code: `struct Params { ${fields} }\n${declared}`,
    bindings: Object.fromEntries(bindings),
    params: Object.fromEntries(Object.keys(params).map((id) => [id, "u32" as const])),
    groups: () => 1,
  });
  return { kernel, tensors: [...reads, ...writes], params, dispatchSize: [1, 1, 1] };
}

export const program = (steps: readonly Step[], name = "program"): Program => ({ name, steps });

export const floats = (label: string, length: number, role: Role = "activation"): Tensor =>
  tensor(label, [length], role);
