// Weights stored as bf16: products, embeddings and a whole model against weights in f32 that hold the same, rounded numbers.

import { assert, assertClose, assertEquals, assertThrows, random, test } from "../harness.ts";
import * as reference from "../reference/ops.ts";
import type { Reals } from "../reference/ops.ts";
import { TOLERANCES, toleranceOf } from "../tolerances.ts";
import { embeddingSegments } from "../../src/data/text.ts";
import { fromBf16, toBf16 } from "../../src/gpu/bf16.ts";
import type { Variant } from "../../src/gpu/device.ts";
import { defineKernel } from "../../src/gpu/kernel.ts";
import { createLlama, llama, type LlamaConfig } from "../../src/models/llama.ts";
import { initialValues, type WeightType } from "../../src/models/parameter.ts";
import { ropeTable } from "../../src/models/rope_table.ts";
import { crossEntropy } from "../../src/ops/cross_entropy.ts";
import { embedding } from "../../src/ops/embedding.ts";
import { linear } from "../../src/ops/linear.ts";
import { matmul } from "../../src/ops/matmul.ts";
import type { MatmulMode } from "../../src/ops/matmul_operands.ts";
import { scheduleTensor } from "../../src/optim/step/schedule.ts";
import { Executor } from "../../src/plan/executor.ts";
import { bytesByRole } from "../../src/plan/ledger.ts";
import { type MemoryPlan, planMemory } from "../../src/plan/memory.ts";
import { type Program, Recorder, type Step, type Variable } from "../../src/plan/recorder.ts";
import { size, type Tensor, tensor } from "../../src/plan/tensor.ts";
import { testGpu, testVariants, type Words } from "./run_op.ts";
import { absolute, integers, uniform } from "./values.ts";

type Floats = Float32Array<ArrayBuffer>;

interface Recorded {
  readonly program: Program;
  readonly written: ReadonlyMap<Tensor, Floats | Words>;
  readonly outputs: Readonly<Record<string, Tensor>>;
}

const rounded = (values: ArrayLike<number>): Floats => fromBf16(toBf16(Float32Array.from(values)), values.length);

const untilTheEnd = defineKernel({ name: "until the end", code: "", bindings: {}, params: {}, groups: () => 1 });

/** The plan of programs whose outputs all live until the end of theirs: a last step, never run, uses them. */
function planOf(all: readonly Recorded[]): MemoryPlan {
  const programs = all.map(({ program }) => program);
  const prolonged = all.map(({ program: { name, steps }, outputs }): Program => {
    const last: Step = { kernel: untilTheEnd, tensors: Object.values(outputs), params: {}, grid: [1, 1, 1] };
    return { name, steps: [...steps, last] };
  });
  return { ...planMemory(prolonged), programs };
}

/** Runs programs one after another and returns the outputs of each. */
async function runAll(all: readonly Recorded[]): Promise<Record<string, Floats>[]> {
  const gpu = await testGpu(), plan = planOf(all), executor = await Executor.create(gpu, plan);
  assertEquals(executor.allocatedBytes, bytesByRole(plan.buffers), "planned bytes are allocated");
  const results = all.map(({ program, written, outputs }) => {
    for (const [target, data] of written) executor.write(target, data);
    executor.run(program);
    return Promise.all(Object.entries(outputs).map(async ([name, output]) => [name, await executor.read(output)] as const)).then(Object.fromEntries<Floats>);
  });
  const read = await Promise.all(results);
  assertEquals(gpu.uncaptured(), undefined);
  executor.destroy();
  return read;
}

/** A tensor with data that stays, and one with its gradient. */
function given(written: Map<Tensor, Floats | Words>, label: string, shape: readonly number[], values: ArrayLike<number>, type: WeightType = "f32"): Variable {
  const value = tensor(label, shape, "trainable", type);
  written.set(value, Float32Array.from(values));
  return { value, needsGradient: true };
}

/** [M, N, K]: rows, outputs, inputs. K is what the rule allows; around every tile, primes, long sums that are split. */
const SIZES = [
  [1, 1, 4], [2, 3, 8], [7, 5, 12], [17, 15, 16], [31, 37, 36], [64, 65, 68], [64, 64, 64], [130, 127, 20], [2, 3, 2180], [40, 1031, 36],
] as const;

interface LinearNumbers {
  readonly x: Reals;
  readonly residual: Reals;
  readonly w: Reals;
  readonly dy: Reals;
  readonly dz: Reals;
}

function linearNumbers([M, N, K]: readonly [number, number, number]): LinearNumbers {
  const next = random(M * 1e6 + N * 1e3 + K);
  const numbers = (length: number): Reals => uniform(next, length);
  return { x: numbers(M * K), residual: numbers(M * N), w: Float64Array.from(rounded(numbers(N * K))), dy: numbers(M * N), dz: numbers(M * N) };
}

/** y = residual + x Wᵀ and z = x Wᵀ: products that assign, add and accumulate. */
function recordLinear(variant: Variant, [M, N, K]: readonly [number, number, number], { x, residual, w, dy, dz }: LinearNumbers): Recorded {
  const r = new Recorder({ variant, training: true }), written = new Map<Tensor, Floats | Words>();
  const variables = { x: given(written, "x", [M, K], x), residual: given(written, "residual", [M, N], residual), w: given(written, "w", [N, K], w, "bf16") };
  const y = linear(r, variables.x, variables.w, { residual: variables.residual });
  const z = linear(r, variables.x, variables.w);
  for (const [output, seed] of [[y, dy], [z, dz]] as const) r.setGradient(output, given(written, `d(${output.value.label})`, [M, N], seed).value);
  r.backward();
  return { program: { name: "linear", steps: r.steps }, written, outputs: { y: y.value, z: z.value, dx: r.gradientOf(variables.x)!, dw: r.gradientOf(variables.w)! } };
}

test("linear() with a bf16 weight: outputs and gradients of every mode", async () => {
  for (const variant of await testVariants()) {
    const numbers = SIZES.map(linearNumbers);
    const results = await runAll(SIZES.map((size, i) => recordLinear(variant, size, numbers[i]!)));
    SIZES.forEach(([M, N, K], i) => {
      const { x, residual, w, dy, dz } = numbers[i]!;
      const expected = (of: (reals: Reals) => Reals): Record<string, readonly [Reals, number]> => {
        const product = (mode: MatmulMode, a: Reals, b: Reals, M: number, N: number, K: number): Reals => reference.matmul(mode, of(a), of(b), { M, N, K });
        const z = product("NT", x, w, M, N, K), sum = reference.add(of(dy), of(dz));
        return { y: [reference.add(of(residual), z), K], z: [z, K], dx: [product("NN", sum, w, M, K, N), N], dw: [product("TN", sum, x, N, K, M), M] };
      };
      const scales = expected(absolute);
      for (const [name, [value, terms]] of Object.entries(expected((reals) => reals))) {
        const where = `linear (${M}, ${K}) -> ${N} (${variant}): ${name}`;
        // dx and dw are two sums of so many terms, added up; y is a sum and the residual.
        assertClose(results[i]![name]!, value, { name: where, scale: scales[name]![0], relative: toleranceOf(TOLERANCES.matmul, 2 * terms + 1) });
      }
    });
  }
});

test("matmul() and embedding() refuse a bf16 operand that they cannot read four numbers at a time", () => {
  const record = (mode: MatmulMode, N: number, K: number, b_offset: number) => (): void => {
    const t = (length: number, type: WeightType = "f32"): Tensor => tensor(type, [length], "state", type);
    const r = new Recorder({ variant: "tiled", training: false });
    matmul(r, mode, { a: t(5 * K), b: t(N * K + b_offset, "bf16"), target: { tensor: t(5 * N), accumulate: false } }, { M: 5, N, K, b_offset });
  };
  assertThrows(record("NT", 4, 6, 0), "its rows of 6 start at 0, expected NT or NN with multiples of 4 from 0");
  assertThrows(record("NN", 6, 4, 0), "its rows of 6");
  assertThrows(record("NT", 4, 4, 4), "start at 4");
  assertThrows(record("TN", 4, 4, 0), "mode TN");
  record("NT", 7, 4, 0)();
  record("NN", 4, 7, 0)();
  const weight = { value: tensor("w", [3, 6], "trainable", "bf16"), needsGradient: true };
  assertThrows(() => embedding(new Recorder({ variant: "portable", training: false }), weight, tensor("ids", [2], "input", "u32")), "its rows have 6 numbers, expected a multiple of 4");
});

test("embedding() of a bf16 weight copies its rows, and its gradient is f32", async () => {
  const { variant } = await testGpu(), next = random(5);
  const cases = [[1, 1, 4], [3, 2, 8], [17, 5, 12], [65, 300, 64], [8, 50257, 4]].map(([N, V, C]) => {
    const weight = uniform(next, V! * C!), dy = uniform(next, N! * C!), ids = integers(next, N!, V!);
    if (N! > 1) ids[0] = V! + 3; // reads the last row
    return { V: V!, C: C!, ids, weight, dy };
  });
  const results = await runAll(cases.map(({ V, C, ids, weight, dy }) => {
    const r = new Recorder({ variant, training: true }), written = new Map<Tensor, Floats | Words>();
    const input = (label: string, words: Words): Tensor => {
      const made = tensor(label, [words.length], "input", "u32");
      written.set(made, words);
      return made;
    };
    const { order, segment_ids, segment_offsets } = embeddingSegments(ids.map((id) => Math.min(id, V - 1)));
    const w = given(written, "w", [V, C], weight, "bf16");
    const y = embedding(r, w, input("ids", ids), { order: input("order", order), segment_ids: input("ids of segments", segment_ids), segment_offsets: input("offsets", segment_offsets) });
    r.setGradient(y, given(written, "d(y)", [ids.length, C], dy).value);
    r.backward();
    return { program: { name: "embedding", steps: r.steps }, written, outputs: { y: y.value, dw: r.gradientOf(w)! } };
  }));
  cases.forEach(({ V, C, ids, weight, dy }, i) => {
    const name = `embedding of ${ids.length} ids, V ${V}, C ${C}`, inside = ids.map((id) => Math.min(id, V - 1));
    assertEquals(results[i]!["y"], Float32Array.from(reference.embedding(Float64Array.from(rounded(weight)), inside, C)), `${name}: y`);
    const gradient = (of: Reals): Reals => reference.embeddingBackward(of, inside, V, C);
    assertClose(results[i]!["dw"]!, gradient(dy), { name: `${name}: dw`, scale: gradient(absolute(dy)), relative: toleranceOf(TOLERANCES.embedding, ids.length) });
  });
});

/** o_proj's rows have 18 numbers, so it stays f32; all other matrices may be bf16. */
const CONFIG: LlamaConfig = {
  vocab_size: 37,
  hidden_size: 20,
  intermediate_size: 28,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  num_key_value_heads: 1,
  head_dim: 6,
  rms_norm_eps: 1e-5,
  rope_parameters: { rope_theta: 10000 },
  tie_word_embeddings: false,
  initializer_range: 0.2,
};

/** Losses, gradients and weights of a model in `type`, with initial values rounded to bf16 where the rule allows bf16. */
function recordLlama(variant: Variant, config: LlamaConfig, type: WeightType): Recorded {
  const B = 2, T = 9, N = B * T, next = random(3), ids = integers(next, N, config.vocab_size), sorted = embeddingSegments(ids);
  const r = new Recorder({ variant, training: true }), written = new Map<Tensor, Floats | Words>();
  const put = (made: Tensor, data: Floats | Words): Tensor => (written.set(made, data), made);
  const input = (label: string, words: Words): Tensor => put(tensor(label, [words.length], "input", "u32"), words);
  const model = createLlama(config, type), schedule = scheduleTensor("schedule"), loss = tensor("loss", [N], "scratch");
  createLlama(config, "bf16").parameters.forEach(({ value }, i) => {
    const parameter = model.parameters[i]!, values = initialValues(parameter, 1);
    put(parameter.value, value.type === "bf16" ? rounded(values) : values);
  });
  put(schedule, new Float32Array(size(schedule)).fill(1 / N));
  const rope_table = put(tensor("rope table", [T, 2, config.head_dim / 2], "frozen"), ropeTable(T, config.head_dim, config.rope_parameters));
  const segments = { order: input("order", sorted.order), segment_ids: input("ids of segments", sorted.segment_ids), segment_offsets: input("offsets", sorted.segment_offsets) };
  const hidden = llama(r, model, { ids: input("ids", ids), segments, rope_table, B, T });
  crossEntropy(r, hidden, model.lm_head, input("labels", integers(next, N, config.vocab_size)), schedule, { tensor: loss, first: 0 });
  r.backward();
  const outputs = model.parameters.flatMap((parameter) => [parameter.value, r.gradientOf(parameter)!]).map((one) => [one.label, one] as const);
  return { program: { name: "model", steps: r.steps }, written, outputs: { loss, ...Object.fromEntries(outputs) } };
}

test("a LLaMA with bf16 weights has the losses and gradients of one in f32 that holds the same numbers, in half the bytes", async () => {
  for (const variant of await testVariants()) {
    for (const tied of [false, true]) {
      const config = { ...CONFIG, tie_word_embeddings: tied }, recorded = (["bf16", "f32"] as const).map((type) => recordLlama(variant, config, type));
      const [bf16, f32] = await runAll(recorded) as [Record<string, Floats>, Record<string, Floats>];
      const where = `${variant}, ${tied ? "tied" : "untied"}`;
      // To the bit: the kernels differ in how they load a weight, not in the order of any sum.
      for (const [name, values] of Object.entries(f32)) assertEquals(bf16[name], values, `${where}: ${name}`);
      assertClose([bf16["loss"]!.reduce((sum, one) => sum + one, 0) / 18], [Math.log(37)], { name: `${where}: loss of a model that knows nothing`, absolute: 1.5 });
      const { parameters } = createLlama(config, "bf16");
      const stays = parameters.filter(({ value }) => value.type === "f32").map(({ value }) => value.label);
      assert(stays.length === 7 && stays.every((label) => /norm|o_proj/.test(label)), `${where}: ${stays} stay f32, expected five norms and two odd matrices`);
      const bytes = (each: (type: WeightType) => number): number => parameters.reduce((sum, { value }) => sum + each(value.type as WeightType) * size(value), 0);
      const planned = recorded.map((one) => bytesByRole(planOf([one]).buffers).trainable);
      assertEquals(planned, [bytes((type) => (type === "bf16" ? 2 : 4)), bytes(() => 4)], `${where}: bytes of the parameters`);
    }
  }
});
