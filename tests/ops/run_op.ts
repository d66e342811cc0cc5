// Runs ops as the recorder plans them and holds every output and every gradient against expected numbers.

import { assert, assertClose, assertEquals } from "../harness.ts";
import type { Reals } from "../reference/ops.ts";
import { type Tolerance, toleranceOf, UNDERFLOW } from "../tolerances.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import { defineKernel } from "../../src/gpu/kernel.ts";
import { Executor } from "../../src/plan/executor.ts";
import { planMemory } from "../../src/plan/memory.ts";
import { type Program, Recorder, type Step, type Variable } from "../../src/plan/recorder.ts";
import { bytesOf, size, type Tensor, tensor, TRANSIENT } from "../../src/plan/tensor.ts";
import { testGpu } from "../test_gpu.ts";

export type Words = Uint32Array<ArrayBuffer>;
export type Variables = Readonly<Record<string, Variable>>;

/** Numbers of a tensor, all exact in f32. */
export interface Values {
  readonly shape: readonly number[];
  readonly values: Reals;
  /** No gradient is wanted. */
  readonly frozen?: boolean;
}

export interface Expected {
  readonly value: Reals;
  /** The magnitude that rounding is relative to, element by element. Default: the absolute value itself. */
  readonly scale?: Reals;
  readonly tolerance: Tolerance;
  /** Length of the longest sum behind an element. Default 1. */
  readonly terms?: number;
}

/** One op, or a few, with everything that goes in and should come out. */
export interface OpCase {
  readonly name: string;
  readonly variables: Readonly<Record<string, Values>>;
  /** Tensors that never have a gradient. */
  readonly inputs?: Readonly<Record<string, Words | Reals>>;
  /** Shapes of `inputs` that are not flat. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  /** Records the forward pass and returns the outputs by name. */
  readonly record: (r: Recorder, variables: Variables, inputs: Readonly<Record<string, Tensor>>) => Variables;
  /** Gradient of each output that has one. None: the forward pass alone is run. */
  readonly seeds?: Readonly<Record<string, Reals>>;
  /** By the name of the output, or `d` and the name of the variable. */
  readonly expected: Readonly<Record<string, Expected>>;
}

interface Recorded {
  readonly program: Program;
  readonly written: ReadonlyMap<Tensor, Float32Array<ArrayBuffer> | Words>;
  readonly outputs: Readonly<Record<string, Tensor>>;
}

/** Largest error under each tolerance, as a share of it: what the table in tolerances.ts reports. */
export const measured = new Map<Tolerance, number>();

/** The register kernels in the size that suits the adapter, and the tiled ones. */
export const testTargets = async (): Promise<readonly KernelTarget[]> => {
  const { target } = await testGpu();
  return [target === "portable_small" ? target : "portable", "tiled"];
};

/** For large cases: a million workgroups with barriers take a software adapter a minute, a real GPU no time. */
export const affordableVariants = async (): Promise<readonly KernelTarget[]> => {
  const { adapter, target } = await testGpu();
  return adapter.software ? [target] : testTargets();
};

/** Runs all cases for all targets, or for some. */
export async function checkOps(cases: readonly OpCase[], only?: readonly KernelTarget[]): Promise<void> {
  const targets = only ?? await testTargets();
  for (const [index, target] of targets.entries()) {
    // Where an op has the kernels of an earlier target, there is nothing new to see.
    const fresh = cases.filter((one) =>
      targets.slice(0, index).every((earlier) => usesOtherKernels(one, earlier, target))
    );
    if (fresh.length > 0) await checkVariant(target, fresh);
  }
}

function usesOtherKernels(one: OpCase, earlier: KernelTarget, target: KernelTarget): boolean {
  const kernels = (v: KernelTarget) => recordCase(one, v).program.steps.map(({ kernel }) => kernel);
  const [a, b] = [kernels(earlier), kernels(target)];
  return a.length !== b.length || a.some((kernel, i) => kernel !== b[i]);
}

async function checkVariant(target: KernelTarget, cases: readonly OpCase[]): Promise<void> {
  const gpu = await testGpu();
  const recorded = cases.map((one) => recordCase(one, target));
  const executor = await Executor.create(gpu, planApart(recorded.map(({ program }) => program)));
  try {
    // Tensors of different cases share memory, so a case is read before the next runs; reads cost a round trip, so all
    // wait together.
    const results = recorded.map((one) => ({
      first: runOnce(executor, one, 0x7fc00000),
      second: runOnce(executor, one, 0xffffffff),
    }));
    for (const [index, { first, second }] of results.entries()) {
      const bits = await first, again = await second, one = cases[index]!;
      for (const [name, expected] of Object.entries(one.expected)) {
        const where = `${one.name} (${target}): ${name}`;
        assert(bits[name] && again[name], `${where}: expected a tensor, found none`);
        if (!sameWords(again[name], bits[name])) {
          assertEquals(again[name], bits[name], `${where}: a second run must give the same bits`);
        }
        checkValues(where, recorded[index]!.outputs[name]!.shape, new Float32Array(bits[name].buffer), expected);
      }
      const extra = Object.keys(bits).filter((name) => !(name in one.expected));
      assertEquals(extra, [], `${one.name} (${target}): tensors without expectation`);
    }
    assertEquals(gpu.uncaptured(), undefined, "WebGPU error outside any scope");
  } finally {
    executor.destroy();
  }
}

/** Millions of words at a time: assertEquals() is for the message. */
function sameWords(a: Words, b: Words): boolean {
  for (let i = 0; i < b.length; i++) if (a[i] !== b[i]) return false;
  return a.length === b.length;
}

function checkValues(
  name: string,
  shape: readonly number[],
  actual: Float32Array,
  { value, scale = value, tolerance, terms = 1 }: Expected,
): void {
  const relative = toleranceOf(tolerance, terms), absolute = tolerance.fixed > 0 ? UNDERFLOW : 0;
  assertClose(actual, value, { name, shape, scale, relative, absolute });
  if (tolerance.fixed === 0) return;
  let worst = measured.get(tolerance) ?? 0;
  for (let i = 0; i < value.length; i++) {
    worst = Math.max(worst, Math.abs(actual[i]! - value[i]!) / (absolute + relative * Math.abs(scale[i]!)));
  }
  measured.set(tolerance, worst);
}

/** Records a case: variables and seeds persist, so that nothing overwrites them; all else is where the op puts it. */
export function recordCase(one: OpCase, target: KernelTarget): Recorded {
  const r = new Recorder({ target, training: one.seeds !== undefined });
  const written = new Map<Tensor, Float32Array<ArrayBuffer> | Words>();
  const variables = Object.fromEntries(
    Object.entries(one.variables).map(([name, { shape, values, frozen = false }]) => {
      // Written before each of two runs, and by an op that has it as its target: what a frozen tensor may not be.
      const value = tensor(name, shape, frozen ? "state" : "trainable");
      written.set(value, new Float32Array(values));
      return [name, { value, needsGradient: !frozen }];
    }),
  );
  const inputs = Object.fromEntries(
    Object.entries(one.inputs ?? {}).map(([name, data]) => {
      const words = data instanceof Uint32Array;
      const input = tensor(name, one.shapes?.[name] ?? [data.length], "input", words ? "u32" : "f32");
      written.set(input, words ? data : new Float32Array(data));
      return [name, input];
    }),
  );
  const results = one.record(r, variables, inputs);
  const outputs: Record<string, Tensor> = {};
  for (const [name, { value }] of Object.entries(results)) outputs[name] = value;
  for (const [name, seed] of Object.entries(one.seeds ?? {})) {
    const gradient = tensor(`seed of ${name}`, results[name]!.value.shape, "state");
    written.set(gradient, new Float32Array(seed));
    r.setGradient(results[name]!, gradient);
  }
  r.backward();
  for (const [name, variable] of Object.entries(variables)) {
    const gradient = r.gradientOf(variable);
    if (gradient) outputs[`d${name}`] = gradient;
  }
  return { program: { name: one.name, steps: r.steps }, written, outputs };
}

const together = defineKernel({ name: "together", code: "", reads: {}, writes: {}, params: {}, groups: () => 1 })
  .bind({});

/**
 * A plan in which tensors of one program share no memory, so that what a kernel fails to write keeps the poison. A last
 * step that touches everything makes them live at once; it is planned, not run.
 */
function planApart(programs: readonly Program[]): ReturnType<typeof planMemory> {
  const prolonged = programs.map(({ name, steps }) => {
    const all: Step = {
      kernel: together,
      tensors: [...new Set(steps.flatMap(({ tensors }) => tensors))],
      params: {},
      dispatchSize: [1, 1, 1],
    };
    return { name, steps: [...steps, all] };
  });
  return { ...planMemory(prolonged), programs };
}

/** Fills everything that the program should write with `poison`, runs it, and reads the outputs' bits. */
async function runOnce(
  executor: Executor,
  { program, written, outputs }: Recorded,
  poison: number,
): Promise<Record<string, Words>> {
  for (const [target, data] of written) if (executor.plan.location.has(target)) executor.write(target, data);
  for (const target of new Set(program.steps.flatMap(({ tensors }) => tensors))) {
    if (written.has(target)) continue;
    assert(
      TRANSIENT.has(target.role) && bytesOf(target) > 0,
      `${target.label}: a tensor that nobody writes before the op`,
    );
    executor.write(target, new Uint32Array(size(target)).fill(poison));
  }
  executor.run(program);
  const reads = Object.entries(outputs).map(([name, output]) =>
    executor.readWords(output).then((words) => [name, words] as const)
  );
  return Object.fromEntries(await Promise.all(reads));
}
