import { assert, assertEquals, random, test } from "../../harness.ts";
import { fromF16, toF16 } from "../../../src/gpu/formats/f16.ts";

type Words = Uint32Array<ArrayBuffer>;

const halvesOf = (words: Words): number[] => [...words].flatMap((word) => [word & 0xffff, word >>> 16]);
const isNaNHalf = (half: number): boolean => (half & 0x7fff) > 0x7c00;

/** The number of a half as IEEE 754 defines it. */
function valueOf(half: number): number {
  const sign = half >>> 15 ? -1 : 1, exponent = (half >>> 10) & 31, fraction = (half & 1023) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -14 : sign * (1 + fraction) * 2 ** (exponent - 15);
}

/** The f16 nearest to a finite x in f64: a multiple of the step at its size; a tie goes to the even multiple. */
function nearest(x: number): number {
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(x)))),
    step = 2 ** (exponent - 10),
    below = Math.floor(Math.abs(x) / step);
  const rest = Math.abs(x) / step - below,
    rounded = (below + (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? 1 : 0)) * step;
  return Math.sign(x) * (rounded > 65504 ? Infinity : rounded);
}

test("fromF16() gives every half its number, and toF16() gives it back", () => {
  const all = Uint32Array.from({ length: 0x8000 }, (_, i) => (2 * i) | ((2 * i + 1) << 16)),
    values = fromF16(all, 0x10000);
  values.forEach((value, half) =>
    assert(Object.is(value, valueOf(half)), `${half.toString(16)} became ${value}, expected ${valueOf(half)}`)
  );
  halvesOf(toF16(values)).forEach((half, i) =>
    assert(half === i || (isNaNHalf(half) && isNaNHalf(i)), `${i.toString(16)} came back as ${half.toString(16)}`)
  );
});

test("toF16(): nearest even of any size, infinity from 65520 on, a NaN stays a NaN", () => {
  const next = random(1);
  // Subnormals, normals and what is too large; every tie between neighbours of some exponents, and the numbers of f32
  // around it.
  const values = Array.from(
    { length: 20_000 },
    () => Math.fround((2 * next() - 1) * 2 ** Math.floor(50 * next() - 30)),
  );
  for (let half = 0; half < 0x7c00; half += 7) {
    const tie = (valueOf(half) + (half === 0x7bff ? 65536 : valueOf(half + 1))) / 2;
    values.push(tie, -tie, Math.fround(tie * (1 + 2 ** -23)), Math.fround(tie * (1 - 2 ** -24)));
  }
  values.push(
    65504,
    65519.996,
    65520,
    -65536,
    3.4e38,
    2 ** -24,
    2 ** -25,
    -(2 ** -25),
    2 ** -25 * (1 + 2 ** -23),
    1e-45,
    2 ** -14,
    2 ** -14 * (1 - 2 ** -12),
  );
  const floats = Float32Array.from(values), back = fromF16(toF16(floats), floats.length);
  floats.forEach((value, i) =>
    assert(Object.is(back[i], nearest(value)), `${value} became ${back[i]}, expected ${nearest(value)}`)
  );
  for (const bits of [0x7fc00000, 0xffc00000, 0x7f800001, 0xff801fff, 0xffffffff]) {
    const [half] = halvesOf(toF16(new Float32Array(Uint32Array.of(bits).buffer)));
    assert(isNaNHalf(half!) && half! >>> 15 === bits >>> 31, `${bits.toString(16)} became ${half!.toString(16)}`);
  }
  assertEquals(halvesOf(toF16(Float32Array.of(Infinity, -Infinity, 0, -0))), [0x7c00, 0xfc00, 0, 0x8000]);
});

test("f16 words: the even number in the low half, an odd length ends with 0, a view may start in the middle", () => {
  const words = Uint32Array.of(0xc0003c00, 0x00003800);
  assertEquals(toF16(Float32Array.of(1, -2, 0.5)), words);
  assertEquals(toF16(Float32Array.of(9, 1, -2, 0.5).subarray(1)), words);
  assertEquals(fromF16(Uint32Array.of(9, ...words).subarray(1), 3), Float32Array.of(1, -2, 0.5));
});
