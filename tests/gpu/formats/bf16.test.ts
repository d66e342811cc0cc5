import { assert, assertEquals, random, test } from "../../harness.ts";
import { fromBf16, toBf16 } from "../../../src/gpu/formats/bf16.ts";
import { openGpu } from "../../../src/gpu/device.ts";
import { defineKernel, perThread } from "../../../src/gpu/kernel.ts";
import { Executor } from "../../../src/plan/executor.ts";
import { planMemory } from "../../../src/plan/memory.ts";
import { Recorder } from "../../../src/plan/recorder.ts";
import { tensor } from "../../../src/plan/tensor.ts";
import roundCode from "../../../shaders/lib/bf16_round.wgsl" with { type: "text" };
import threadCode from "../../../shaders/lib/thread.wgsl" with { type: "text" };

type Words = Uint32Array<ArrayBuffer>;
type Floats = Float32Array<ArrayBuffer>;

/**
 * Exact in bf16, so that no way of rounding may change them: zeros, infinities, the largest, the smallest normal,
 * subnormals.
 */
const EXACT = [
  0x00000000,
  0x80000000,
  0x7f800000,
  0xff800000,
  0x7f7f0000,
  0xff7f0000,
  0x00800000,
  0x3f800000,
  0xc0490000,
  0x00010000,
  0x807f0000,
];
/** Quiet and signalling ones, one whose payload is all in the half that is cut off. */
const NANS = [0x7fc00000, 0xffc00000, 0x7f800001, 0xff80ffff, 0x7fffffff, 0xffffffff];
/**
 * [bits, the nearest bf16]: below and above half a step, ties to even both ways, over an exponent, to infinity, a
 * subnormal.
 */
const NEAREST: readonly (readonly [number, number])[] = [
  [0x3f807fff, 0x3f80],
  [0x3f808001, 0x3f81],
  [0x3f808000, 0x3f80],
  [0x3f818000, 0x3f82],
  [0xbf818000, 0xbf82],
  [0x3fff8000, 0x4000],
  [0x7f7f7fff, 0x7f7f],
  [0x7f7f8000, 0x7f80],
  [0xff7fffff, 0xff80],
  [0x00008001, 0x0001],
  [0x80008000, 0x8000],
  [0x007fffff, 0x0080],
];

const floatsOf = (bits: ArrayLike<number>): Floats => new Float32Array(Uint32Array.from(bits).buffer);
const bitsOf = (values: Floats): Words => new Uint32Array(values.buffer, values.byteOffset, values.length);
const halvesOf = (words: Words): number[] => [...words].flatMap((word) => [word & 0xffff, word >>> 16]);
const isNaNHalf = (half: number): boolean => (half & 0x7fff) > 0x7f80;

test("toBf16(): nearest even, what is exact stays, a NaN stays a NaN", () => {
  assertEquals(halvesOf(toBf16(floatsOf([...EXACT, 0]))), [...EXACT, 0].map((bits) => bits >>> 16));
  assertEquals(halvesOf(toBf16(floatsOf(NEAREST.map(([bits]) => bits)))), NEAREST.map(([, half]) => half));
  const nans = halvesOf(toBf16(floatsOf(NANS)));
  nans.forEach((half, i) =>
    assert(isNaNHalf(half) && half >>> 15 === NANS[i]! >>> 31, `${NANS[i]!.toString(16)} became ${half.toString(16)}`)
  );
});

test("toBf16() and fromBf16(): the even number in the low half, odd lengths, and every bf16 comes back", () => {
  assertEquals(toBf16(Float32Array.of(1, -2, 0.5)), Uint32Array.of(0xc0003f80, 0x00003f00));
  assertEquals(fromBf16(Uint32Array.of(0xc0003f80, 0xffff3f00), 3), Float32Array.of(1, -2, 0.5));
  assertEquals(
    toBf16(Float32Array.of(9, 1, -2, 0.5).subarray(1)),
    Uint32Array.of(0xc0003f80, 0x00003f00),
    "a view that starts in the middle",
  );
  const all = Uint32Array.from({ length: 0x8000 }, (_, i) => (2 * i) | ((2 * i + 1) << 16));
  const back = halvesOf(toBf16(fromBf16(all, 0x10000)));
  back.forEach((half, i) =>
    assert(half === i || (isNaNHalf(half) && isNaNHalf(i)), `${i.toString(16)} came back as ${half.toString(16)}`)
  );
});

const main = `@compute @workgroup_size(\${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }`;

const roundKernel = defineKernel({
  name: "round four numbers a thread in both ways, and unpack the stochastic ones",
  code: `${main}
  let four = load4_x(i);
  store4_nearest(i, four);
  stochastic[i] = pack_bf16(four, random[i]);
  store4_unpacked(i, load4_stochastic(i));
}`,
  libraries: [threadCode, roundCode],
  reads: { x: "numbers", random: "array<vec2u>" },
  writes: { nearest: "numbers", stochastic: "numbers", unpacked: "numbers" },
  params: { n: "u32" },
  constants: { WORKGROUP: 64 },
  groups: perThread,
});

const unpackKernel = defineKernel({
  name: "unpack numbers one by one",
  code: `${main}
  store1_out(i, load1_x(i));
}`,
  libraries: [threadCode],
  reads: { x: "numbers" },
  writes: { out: "numbers" },
  params: { n: "u32" },
  constants: { WORKGROUP: 64 },
  groups: perThread,
});

interface Rounded {
  /** A bf16 for each number, as its bits. */
  readonly nearest: readonly number[];
  readonly stochastic: readonly number[];
  /** The stochastic ones as f32, by vectors and one by one. */
  readonly unpacked: Floats;
  readonly one_by_one: Floats;
}

/** Rounds numbers on the device, number i with half i of the random bits. The length is a multiple of four. */
async function round(values: Floats, randomHalves: readonly number[]): Promise<Rounded> {
  const gpu = await openGpu(), n = values.length, r = new Recorder({ target: gpu.target, training: false });
  const x = tensor("x", [n], "state"),
    random = tensor("random", [n / 2], "state", "u32"),
    nearest = tensor("nearest", [n], "state", "bf16");
  const stochastic = tensor("stochastic", [n], "state", "bf16"),
    unpacked = tensor("unpacked", [n], "state"),
    one_by_one = tensor("one by one", [n], "state");
  r.run(roundKernel, { x, random, nearest, stochastic, unpacked }, { n: n / 4 });
  r.run(unpackKernel, { x: stochastic, out: one_by_one }, { n });
  const program = { name: "round", steps: r.steps };
  const executor = await Executor.create(gpu, planMemory([program]));
  executor.write(x, values);
  executor.write(
    random,
    Uint32Array.from({ length: n / 2 }, (_, i) => randomHalves[2 * i]! | (randomHalves[2 * i + 1]! << 16)),
  );
  executor.run(program);
  const result = {
    nearest: halvesOf(await executor.readWords(nearest)),
    stochastic: halvesOf(await executor.readWords(stochastic)),
    unpacked: await executor.read(unpacked),
    one_by_one: await executor.read(one_by_one),
  };
  assertEquals(gpu.uncaptured(), undefined);
  executor.destroy();
  gpu.device.destroy();
  return result;
}

test("the kernels' rounding: nearest is the host's; exact numbers, infinities and NaN survive both ways", async () => {
  const next = random(1), special = [...EXACT, ...NANS, ...NEAREST.map(([bits]) => bits), 0, 0, 0];
  // Any bits at all beside the special ones: every exponent, both signs.
  const bits = [...special, ...Array.from({ length: 2000 }, () => Math.floor(next() * 2 ** 32))];
  const halves = bits.map((_, i) => (i < special.length ? 0xffff : Math.floor(next() * 0x10000)));
  const values = floatsOf(bits), { nearest, stochastic, unpacked, one_by_one } = await round(values, halves);
  const host = halvesOf(toBf16(values));
  bits.forEach((word, i) => {
    const name = `${word.toString(16)} with ${halves[i]!.toString(16)}`,
      expected = Math.floor((word + halves[i]!) / 0x10000);
    if (isNaNHalf(host[i]!)) {
      assert(
        isNaNHalf(nearest[i]!) && isNaNHalf(stochastic[i]!),
        `${name}: a NaN became ${nearest[i]!.toString(16)} and ${stochastic[i]!.toString(16)}`,
      );
      return;
    }
    assertEquals(nearest[i], host[i], `${name}: nearest`);
    assertEquals(stochastic[i], expected, `${name}: stochastic`);
    if (EXACT.includes(word)) assertEquals([nearest[i], stochastic[i]], [word >>> 16, word >>> 16], `${name}: exact`);
    assertEquals(
      [bitsOf(unpacked)[i]! >>> 16, bitsOf(one_by_one)[i]! >>> 16],
      [expected, expected],
      `${name}: unpacked`,
    );
  });
});

test("stochastic rounding is unbiased, in each of the four places", async () => {
  const values = [1.001, -0.3337, 3e-5, 1e20, 1.99999, -7.77e-12, 1 / 3, 255.5].map(Math.fround), draws = 0x10000;
  for (let first = 0; first < values.length; first += 4) {
    const four = values.slice(first, first + 4);
    // Each possible random half once, in another order in each place: the mean is then the number itself, not only
    // nearly so.
    const halves = Array.from(
      { length: 4 * draws },
      (_, i) => ((i >> 2) * [1, 3, 5, 0xffff][i & 3]! + i * (i & 1)) & 0xffff,
    );
    const { unpacked } = await round(Float32Array.from({ length: 4 * draws }, (_, i) => four[i & 3]!), halves);
    four.forEach((value, place) => {
      let sum = 0;
      const seen = new Set<number>();
      for (let draw = 0; draw < draws; draw++) {
        const one = unpacked[4 * draw + place]!;
        sum += one;
        seen.add(one);
      }
      // 65 536 numbers of 8 bits, all of one or two exponents: their sum is exact in f64.
      assertEquals(sum / draws, value, `mean of ${value} in place ${place}`);
      assert(
        seen.size === 2 && [...seen].every((one) => Math.abs(one / value - 1) < 2 ** -7),
        `${value} became ${[...seen]}, expected its two neighbours`,
      );
    });
  }
});
