// Runs recorded programs that write persistent tensors first, and reads what they made.

import { assertEquals } from "../harness.ts";
import { defineKernel } from "../../src/gpu/kernel.ts";
import { Executor } from "../../src/plan/executor.ts";
import { bytesByRole } from "../../src/plan/ledger.ts";
import { type MemoryPlan, planMemory } from "../../src/plan/memory.ts";
import type { Program, Step, Variable } from "../../src/plan/recorder.ts";
import { type ElementType, type Role, type Tensor, tensor } from "../../src/plan/tensor.ts";
import type { Words } from "./run_op.ts";
import { testGpu } from "../test_gpu.ts";

export type Floats = Float32Array<ArrayBuffer>;

export interface Recorded {
  readonly program: Program;
  readonly written: ReadonlyMap<Tensor, Floats | Words>;
  readonly outputs: Readonly<Record<string, Tensor>>;
}

const untilTheEnd = defineKernel({
  name: "until the end",
  code: "",
  reads: {},
  writes: {},
  params: {},
  groups: () => 1,
})
  .bind({});

/** The plan of programs whose outputs all live until the end of theirs: a last step, never run, uses them. */
export function planOf(all: readonly Recorded[]): MemoryPlan {
  const programs = all.map(({ program }) => program);
  const prolonged = all.map(({ program: { name, steps }, outputs }): Program => {
    const last: Step = { kernel: untilTheEnd, tensors: Object.values(outputs), params: {}, dispatchSize: [1, 1, 1] };
    return { name, steps: [...steps, last] };
  });
  return { ...planMemory(prolonged), programs };
}

/** Writes the persistent tensors, runs the programs one after another and returns the outputs of each. */
export async function runAll(all: readonly Recorded[]): Promise<Record<string, Floats>[]> {
  const gpu = await testGpu(), plan = planOf(all), executor = await Executor.create(gpu, plan);
  assertEquals(executor.allocatedBytes, bytesByRole(plan.buffers), "planned bytes are allocated");
  for (const { written } of all) for (const [target, data] of written) executor.write(target, data);
  const results = all.map(({ program, outputs }) => {
    executor.run(program);
    return Promise.all(
      Object.entries(outputs).map(async ([name, output]) => [name, await executor.read(output)] as const),
    ).then(Object.fromEntries<Floats>);
  });
  const read = await Promise.all(results);
  assertEquals(gpu.uncaptured(), undefined);
  executor.destroy();
  return read;
}

/** A tensor with data that stays, and one with its gradient if it is trainable. */
export function given(
  written: Map<Tensor, Floats | Words>,
  label: string,
  shape: readonly number[],
  values: ArrayLike<number>,
  type: ElementType = "f32",
  role: Role = "trainable",
): Variable {
  const value = tensor(label, shape, role, type);
  written.set(value, Float32Array.from(values));
  return { value, needsGradient: role === "trainable" };
}
