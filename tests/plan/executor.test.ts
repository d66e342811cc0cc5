import { assert, assertEquals, assertRejects, assertThrows, random, test } from "../harness.ts";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { fromBf16, toBf16 } from "../../src/gpu/formats/bf16.ts";
import { type Format, pack, unpack, wordsOf } from "../../src/gpu/formats/index.ts";
import { defineKernel } from "../../src/gpu/kernel.ts";
import { add, fill } from "../../src/ops/elementwise.ts";
import { linear } from "../../src/ops/linear.ts";
import { Executor } from "../../src/plan/executor.ts";
import { bytesByRole } from "../../src/plan/ledger.ts";
import { planMemory } from "../../src/plan/memory.ts";
import { type Program, Recorder, type Variable } from "../../src/plan/recorder.ts";
import { type Tensor, tensor } from "../../src/plan/tensor.ts";
import { testGpu } from "../test_gpu.ts";

interface Net {
  readonly program: Program;
  readonly w: Tensor;
  readonly v: Tensor;
  readonly x: Tensor;
  readonly bias: Tensor;
  readonly y: Tensor;
}

/** y = (x Wᵀ + bias) Vᵀ: two inputs, a trainable and a frozen weight, an activation or two, an output. */
function net(): Net {
  const r = new Recorder({ target: "portable", training: true });
  const w = tensor("w", [3, 3], "trainable"), v = tensor("v", [3, 3], "frozen");
  const x = tensor("x", [2, 3], "input"), bias = tensor("bias", [2, 3], "input"), y = tensor("y", [2, 3], "output");
  const given = (value: Tensor): Variable => ({ value, needsGradient: value.role === "trainable" });
  const hidden = add(r, linear(r, given(x), given(w)), given(bias));
  const out = linear(r, hidden, given(v), { out: y });
  r.setGradient(out, tensor("seed", [2, 3], "state"));
  r.backward();
  return { program: { name: "net", steps: r.steps }, w, v, x, bias, y };
}

const IDENTITY = Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1);
const X = Float32Array.of(1, 2, 3, 4, 5, 6), BIAS = Float32Array.of(10, 20, 30, 40, 50, 60);

async function makeNet(): Promise<Net & { readonly executor: Executor; readonly gpu: Gpu }> {
  const gpu = await testGpu(), made = net();
  const executor = await Executor.create(gpu, planMemory([made.program]));
  executor.write(made.w, IDENTITY);
  executor.write(made.v, IDENTITY);
  executor.writeInputs(new Map([[made.x, X], [made.bias, BIAS]]));
  return { ...made, executor, gpu };
}

test("planned bytes are allocated bytes, role by role", async () => {
  const { executor } = await makeNet();
  assertEquals(executor.allocatedBytes, bytesByRole(executor.plan.buffers));
  executor.destroy();
  assert(Object.values(executor.allocatedBytes).every((bytes) => bytes === 0), "nothing is left after destroy()");
});

test("a run is one submit and creates nothing", async () => {
  const { executor, program, y, gpu } = await makeNet();
  const before = { ...executor.counters }, spies = spy(gpu.device);
  for (let run = 0; run < 3; run++) executor.run(program);
  const created = spies.stop();
  assertEquals(executor.counters, {
    ...before,
    submits: before.submits + 3,
    dispatches: before.dispatches + 3 * program.steps.length,
  });
  // The counters are the executor's own account; this is the device's.
  assertEquals(created, {
    createBuffer: 0,
    createBindGroup: 0,
    createComputePipeline: 0,
    createComputePipelineAsync: 0,
    createShaderModule: 0,
    createCommandEncoder: 3,
  });
  assertEquals([...await executor.read(y)], [11, 22, 33, 44, 55, 66]);
  executor.destroy();
});

test("a device compiles each kernel once, however many steps and executors use it", async () => {
  const gpu = await openGpu({ target: "portable" }), { program } = net(), spies = spy(gpu.device);
  const executors = await Promise.all([1, 2].map(() => Executor.create(gpu, planMemory([program]))));
  const later = await Executor.create(gpu, planMemory([program])), { createComputePipelineAsync } = spies.stop();
  const kernels = new Set(program.steps.map(({ kernel }) => kernel)).size;
  assertEquals(createComputePipelineAsync, kernels);
  assertEquals([...executors, later].map(({ counters }) => counters.pipelinesCreated), [kernels, 0, 0]);
  gpu.device.destroy();
});

/** Counts calls of the device's factories. */
function spy(device: GPUDevice): { stop(): Record<string, number> } {
  const names = [
    "createBuffer",
    "createBindGroup",
    "createComputePipeline",
    "createComputePipelineAsync",
    "createShaderModule",
    "createCommandEncoder",
  ] as const;
  const counts: Record<string, number> = Object.fromEntries(names.map((name) => [name, 0]));
  for (const name of names) {
    const original = device[name].bind(device) as (...args: unknown[]) => unknown;
    Object.defineProperty(device, name, {
      configurable: true,
      value: (...args: unknown[]) => (counts[name]!++, original(...args)),
    });
  }
  return {
    stop() {
      for (const name of names) Reflect.deleteProperty(device, name);
      return counts;
    },
  };
}

test("writeInputs() writes what it is given and leaves the rest", async () => {
  const gpu = await testGpu();
  const r = new Recorder({ target: "portable", training: false });
  const given = (value: Tensor): Variable => ({ value, needsGradient: false });
  const inputs = [5, 70, 3, 128].map((n, i) => tensor(`i${i}`, [n], "input")),
    zeros = inputs.map(({ shape }) => tensor("zeros", shape, "state"));
  inputs.forEach((input, i) => add(r, given(input), given(zeros[i]!)));
  const program = { name: "use", steps: r.steps };
  const executor = await Executor.create(gpu, planMemory([program]));
  const expected = inputs.map(({ shape }) => new Float32Array(shape[0]!));
  const check = async (what: string): Promise<void> => {
    for (const [i, input] of inputs.entries()) {
      assertEquals(await executor.read(input), expected[i], `${what}: ${input.label}`);
    }
  };
  const put = (...which: number[]): void => {
    for (const i of which) expected[i] = expected[i]!.map((_, at) => 100 * (i + 1) + at + expected[i]![at]!);
    executor.writeInputs(new Map(which.map((i) => [inputs[i]!, expected[i]!])));
  };
  put(0, 1, 2, 3);
  await check("all");
  put(2);
  await check("one in the middle");
  put(3, 0);
  await check("the outer two: the inner ones keep their numbers");
  expected[1] = new Float32Array(70).fill(-1);
  executor.write(inputs[1]!, expected[1]);
  expected[1].set([7, 8], 3);
  executor.write(inputs[1]!, Float32Array.of(7, 8), 3);
  put(0, 2);
  await check("around one that write() has changed");
  executor.writeInputs(new Map());
  await check("none");
  assertThrows(
    () => executor.writeInputs(new Map([[inputs[0]!, new Float32Array(4)]])),
    "Cannot write 16 bytes to i0: it has 20",
  );
  assertEquals(gpu.uncaptured(), undefined);
  executor.destroy();
});

test("firstNonFinite() names the tensor with a NaN or an infinity, and the kernel", async () => {
  const { executor, program, w, v, x, gpu } = await makeNet();
  executor.write(program.steps.flatMap(({ tensors }) => tensors).find(({ label }) => label === "seed")!, X);
  assertEquals(await executor.firstNonFinite(program), undefined);
  for (const [tensor, bits] of [[w, 0x7fc00000], [v, 0xff800000], [w, 0xffffffff]] as const) {
    const words = new Uint32Array(IDENTITY.buffer.slice(0));
    words[4] = bits;
    executor.write(tensor, words);
    const found = await executor.firstNonFinite(program);
    assertEquals([found?.tensor.label, found?.kernel], [tensor.label, "before the step"], bits.toString(16));
    executor.write(tensor, IDENTITY);
  }
  // Finite numbers whose product is not: the kernel that made it is named.
  executor.write(w, IDENTITY.map((one) => one * 1e30));
  executor.writeInputs(new Map([[x, X.map((value) => value * 1e30)]]));
  const found = await executor.firstNonFinite(program);
  assertEquals([found?.tensor.label, found?.kernel], [program.steps[0]!.tensors.at(-1)!.label, "matmul"]);
  assertEquals(gpu.uncaptured(), undefined);
  executor.destroy();
});

const copyKernel = defineKernel({
  name: "copy words",
  code: `
@compute @workgroup_size(1) fn main(@builtin(workgroup_id) group: vec3u) { out[group.x] = x[group.x]; }`,
  reads: { x: "array<u32>" },
  writes: { out: "array<u32>" },
  params: {},
  groups: () => 3,
});

test(
  "bf16 tensors: half the bytes, written from floats or words, read as floats or words, searched " +
    "half by half",
  async () => {
    const gpu = await testGpu(), r = new Recorder({ target: "portable", training: false });
    // An odd length: the last half of the last word belongs to no number.
    const tensors = (["trainable", "input", "state", "output"] as const).map((role) => tensor(role, [5], role, "bf16"));
    const [weight, input, fromWeight, fromInput] = tensors as [Tensor, Tensor, Tensor, Tensor];
    r.run(copyKernel, { x: weight, out: fromWeight }, {});
    r.run(copyKernel, { x: input, out: fromInput }, {});
    const program = { name: "copy", steps: r.steps }, executor = await Executor.create(gpu, planMemory([program]));
    assertEquals([executor.allocatedBytes.trainable, executor.allocatedBytes.state], [12, 12]);
    const values = Float32Array.of(1.001, -2, 3e-39, 1e38, 1 / 3), words = toBf16(values), rounded = fromBf16(words, 5);
    executor.write(weight, values);
    executor.write(input, words);
    executor.run(program);
    for (const one of tensors) {
      assertEquals([await executor.read(one), await executor.readWords(one)], [rounded, words], one.label);
    }
    executor.write(input, rounded.map((value) => 2 * value));
    assertEquals(await executor.read(input), rounded.map((value) => 2 * value), "floats to an input");
    for (const one of [weight, input]) {
      assertThrows(() => executor.write(one, new Float32Array(6)), `Cannot write 24 bytes to ${one.label}: it has 20`);
      assertThrows(() => executor.write(one, new Uint32Array(5)), `Cannot write 20 bytes to ${one.label}: it has 12`);
    }
    assertEquals(await executor.firstNonFinite(program), undefined);
    for (const [bad, at] of [[NaN, 0], [Infinity, 1], [-Infinity, 3], [NaN, 4]] as const) {
      executor.write(weight, values.map((value, i) => (i === at ? bad : value)));
      assertEquals((await executor.firstNonFinite(program))?.tensor.label, "trainable", `${bad} at ${at}`);
    }
    executor.write(weight, values);
    executor.write(fromWeight, words); // nothing bad is left of the earlier runs
    executor.write(input, Float32Array.of(0, 0, 0, Infinity, 0));
    assertEquals((await executor.firstNonFinite(program))?.tensor.label, "input");
    assertEquals(gpu.uncaptured(), undefined);
    executor.destroy();
  },
);

/** A plan of one frozen tensor of each format, and of an input. */
async function makeStored(
  formats: readonly Format[],
  length: number,
): Promise<{ gpu: Gpu; executor: Executor; program: Program; tensors: readonly Tensor[]; input: Tensor }> {
  const gpu = await testGpu(), r = new Recorder({ target: "portable", training: false });
  const tensors = formats.map((format) => tensor(`frozen ${format}`, [length], "frozen", format)),
    input = tensor("input", [length], "input", "f16");
  for (const x of [...tensors, input]) r.run(copyKernel, { x, out: tensor("out", [3], "state", "u32") }, {});
  const program = { name: "copy", steps: r.steps };
  return { gpu, executor: await Executor.create(gpu, planMemory([program])), program, tensors, input };
}

const FORMATS: readonly Format[] = ["f32", "bf16", "f16", "int8", "nf4"];

test(
  "tensors of every format: allocated as counted, packed by write(), unpacked by read(), by " +
    "pieces as whole",
  async () => {
    // Groups and words that the end cuts off.
    for (const length of [37, 64, 331]) {
      const { gpu, executor, tensors, input } = await makeStored(FORMATS, length), next = random(length);
      const values = Float32Array.from({ length }, () => 2 * next() - 1);
      assertEquals(
        executor.allocatedBytes.frozen,
        FORMATS.reduce((sum, format) => sum + 4 * wordsOf(format, length), 0),
        "bytes",
      );
      for (const [i, format] of ([...FORMATS, "f16"] as const).entries()) {
        const target = tensors[i] ?? input, words = pack(format, values), name = `${target.label} of ${length}`;
        const check = async (how: string): Promise<void> => {
          assertEquals(await executor.readWords(target), words, `${name}: ${how}`);
          assertEquals(await executor.read(target), unpack(format, words, length), `${name}: ${how}`);
          executor.write(target, new Uint32Array(words.length));
        };
        executor.write(target, values);
        await check("numbers");
        executor.write(target, words);
        await check("words");
        // The last piece first: pieces may come in any order.
        for (const start of [128, 0, 64].filter((start) => start < length)) {
          executor.write(target, values.subarray(start, start === 128 ? length : start + 64), start);
        }
        await check("pieces of numbers");
        for (let start = 0; start < words.length; start += 3) {
          executor.write(target, words.subarray(start, start + 3), start);
        }
        await check("pieces of words");
      }
      assertEquals(gpu.uncaptured(), undefined);
      executor.destroy();
    }
  },
);

test(
  "write() refuses pieces that do not fit, that tear a group or a word apart, and numbers that " +
    "spoil a group",
  async () => {
    const { executor, tensors } = await makeStored(FORMATS, 200),
      [f32, bf16, , int8, nf4] = tensors as [Tensor, Tensor, Tensor, Tensor, Tensor];
    const floats = (length: number): Float32Array<ArrayBuffer> => new Float32Array(length);
    for (const first of [-1, 0.5, 150]) {
      assertThrows(
        () => executor.write(f32, floats(64), first),
        `Cannot write 64 numbers from ${first} on to frozen f32: it has 200`,
      );
    }
    assertThrows(
      () => executor.write(int8, new Uint32Array(4), 51),
      "Cannot write 4 words from 51 on to frozen int8: it has 54",
    );
    assertThrows(
      () => executor.write(int8, floats(64), 32),
      "Cannot write numbers 32 to 96 of frozen int8 in int8: expected multiples of 64, or its end at 200",
    );
    assertThrows(() => executor.write(nf4, floats(65), 64), "numbers 64 to 129");
    assertThrows(
      () => executor.write(bf16, floats(2), 1),
      "Cannot write numbers 1 to 3 of frozen bf16 in bf16: expected multiples of 2",
    );
    assertThrows(() => executor.write(nf4, floats(64)), "Cannot write 256 bytes to frozen nf4: it has 800");
    assertThrows(
      () => executor.write(nf4, floats(72).fill(NaN, 3), 128),
      "Cannot store frozen nf4 as nf4: number 131 is NaN",
    );
    for (const one of [f32, bf16, int8, nf4]) executor.write(one, floats(8), 192);
    executor.destroy();
  },
);

test("firstNonFinite() finds the halves and the scales that are not finite", async () => {
  for (
    const [format, word, bits] of [["f16", 1, 0x7c000000], ["f16", 0, 0xfc01], ["int8", 3, 0x7f800000], [
      "nf4",
      2,
      0xffc00000,
    ]] as const
  ) {
    const { executor, program, tensors } = await makeStored([format], 12), words = new Uint32Array(wordsOf(format, 12));
    executor.write(tensors[0]!, words);
    assertEquals(await executor.firstNonFinite(program), undefined, format);
    words[word] = bits;
    executor.write(tensors[0]!, words);
    assertEquals((await executor.firstNonFinite(program))?.tensor, tensors[0], `${format} ${bits.toString(16)}`);
    executor.destroy();
  }
});

test("a frozen tensor is written before the first run, and never again", async () => {
  const { executor, program, v, w } = await makeNet(), before = await executor.readWords(v);
  executor.write(v, IDENTITY);
  executor.run(program);
  const message = "Cannot write v: it is frozen and a program has run";
  for (
    const write of [
      () => executor.write(v, X),
      () => executor.write(v, before),
      () => executor.write(v, X.subarray(0, 2), 0),
    ]
  ) assertEquals(assertThrows(write, message).constructor, RangeError);
  executor.write(w, IDENTITY);
  assertEquals(await executor.readWords(v), before);
  executor.destroy();
});

test("an executor after another's destroy() starts afresh", async () => {
  for (let round = 0; round < 2; round++) {
    const { executor, program, y } = await makeNet();
    executor.run(program);
    assertEquals([...await executor.read(y)], [11, 22, 33, 44, 55, 66]);
    executor.destroy();
  }
});

test("create() refuses a plan beyond the limits before it allocates", async () => {
  const gpu = await testGpu(), r = new Recorder({ target: "portable", training: false });
  const elements = Math.floor(gpu.device.limits.maxStorageBufferBindingSize / 4) + 64;
  fill(r, tensor("giant", [elements], "trainable"), 0);
  const spies = spy(gpu.device);
  const error = await assertRejects(
    () => Executor.create(gpu, planMemory([{ name: "giant", steps: r.steps }])),
    'Cannot fit the plan: "giant" needs',
  );
  assertEquals([error.constructor, spies.stop()["createBuffer"]], [RangeError, 0]);
});

test("create() names the kernel that does not compile", async () => {
  const gpu = await testGpu(), r = new Recorder({ target: "portable", training: false });
  fill(r, tensor("x", [4], "trainable"), 0);
  const [step] = r.steps;
  const broken = {
    ...step!,
    kernel: { ...step!.kernel, name: "broken", source: step!.kernel.source.replace("params.value", "params.nothing") },
  };
  await assertRejects(() => Executor.create(gpu, planMemory([{ name: "broken", steps: [broken] }])), "broken");
});
