// Runs what src/optim/basis records, on tensors that the test writes and reads.

import { assertEquals } from "../../harness.ts";
import { testTargets, type Words } from "../../ops/run_op.ts";
import type { Reals } from "../../reference/ops.ts";
import type { KernelTarget } from "../../../src/gpu/device.ts";
import { packStepInputs, type StepInputs } from "../../../src/optim/step/step_inputs.ts";
import { Executor } from "../../../src/plan/executor.ts";
import { planMemory } from "../../../src/plan/memory.ts";
import { type Program, Recorder } from "../../../src/plan/recorder.ts";
import { type Tensor, tensor } from "../../../src/plan/tensor.ts";
import { testGpu } from "../../test_gpu.ts";

export type Data = Float32Array<ArrayBuffer> | Words;

/** The target without workgroup memory that suits the adapter: for tests of what all targets share. */
export const portable = async (): Promise<KernelTarget> => (await testTargets())[0]!;

/** Tensors that keep what they hold between runs. */
export const floats = (label: string, ...shape: readonly number[]): Tensor => tensor(label, shape, "state");
export const words = (label: string, ...shape: readonly number[]): Tensor => tensor(label, shape, "state", "u32");

/** Step inputs of which only the numbers that a test sets matter. */
export const stepInputWords = (numbers: Partial<StepInputs>): Words =>
  packStepInputs({
    bias_correction1: 1,
    bias_correction2: 1,
    step_factor: 1,
    restart: false,
    first: 0,
    count: 0,
    drawn: 0,
    step: 0,
    ...numbers,
  });

/** Records a program of each of `records`, which may share tensors, and gives `body` an executor for them. */
export async function withPrograms<T>(
  target: KernelTarget,
  records: readonly ((r: Recorder) => void)[],
  body: (executor: Executor, programs: readonly Program[]) => Promise<T>,
): Promise<T> {
  const gpu = await testGpu();
  const programs = records.map((record, i) => {
    const r = new Recorder({ target, training: true });
    record(r);
    return { name: `program ${i}`, steps: r.steps };
  });
  const executor = await Executor.create(gpu, planMemory(programs));
  try {
    const result = await body(executor, programs);
    assertEquals(gpu.uncaptured(), undefined, "WebGPU error outside any scope");
    return result;
  } finally {
    executor.destroy();
  }
}

/** Records once; for each turn writes its tensors, runs, and gives the bits of `outputs`. */
export function runTurns(
  target: KernelTarget,
  record: (r: Recorder) => void,
  turns: readonly ReadonlyMap<Tensor, Data>[],
  outputs: readonly Tensor[],
): Promise<Words[][]> {
  return withPrograms(target, [record], async (executor, [program]) => {
    const results: Words[][] = [];
    for (const turn of turns) {
      for (const [target, data] of turn) executor.write(target, data);
      executor.run(program!);
      results.push(await Promise.all(outputs.map((output) => executor.readWords(output))));
    }
    return results;
  });
}

export const realsOf = (bits: Words): Reals => Float64Array.from(new Float32Array(bits.buffer));

/** max |QᵀQ - I| of the columns of q (d, k). */
export function orthonormalityError(q: Reals, k: number): number {
  let worst = 0;
  for (let i = 0; i < k; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = i === j ? -1 : 0;
      for (let at = 0; at < q.length; at += k) sum += q[at + i]! * q[at + j]!;
      worst = Math.max(worst, Math.abs(sum));
      if (Number.isNaN(sum)) return NaN;
    }
  }
  return worst;
}

/** max |Q Qᵀ - P Pᵀ| of two matrices (d, k) of orthonormal columns: 0 where they span the same space. */
export function spanError(q: Reals, p: Reals, k: number): number {
  const d = q.length / k;
  let worst = 0;
  for (let i = 0; i < d; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let c = 0; c < k; c++) sum += q[i * k + c]! * q[j * k + c]! - p[i * k + c]! * p[j * k + c]!;
      if (Number.isNaN(sum)) return NaN;
      worst = Math.max(worst, Math.abs(sum));
    }
  }
  return worst;
}
