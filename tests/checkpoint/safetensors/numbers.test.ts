import type { Dtype } from "../../../src/checkpoint/safetensors/dtype.ts";
import { toFloat32 } from "../../../src/checkpoint/safetensors/numbers.ts";
import { assert, assertEquals, assertThrows, test } from "../../harness.ts";

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer> =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** By the definition of the type, in doubles. */
function halfValue(half: number): number {
  const sign = half >> 15 ? -1 : 1, exponent = (half >> 10) & 31, mantissa = half & 1023;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15));
}

test("all 65 536 f16 have their value in f32, subnormal ones, zeros, infinities and NaN among them", () => {
  const halves = Uint16Array.from({ length: 65_536 }, (_, half) => half), floats = toFloat32("F16", bytesOf(halves));
  halves.forEach((half) =>
    assert(
      Object.is(floats[half], halfValue(half)),
      `f16 0x${half.toString(16)}: got ${floats[half]}, want ${halfValue(half)}`,
    )
  );
});

test("all 65 536 bf16 are the upper half of their f32, the payloads of NaN among them", () => {
  const floats = toFloat32("BF16", bytesOf(Uint16Array.from({ length: 65_536 }, (_, half) => half)));
  assertEquals(new Uint32Array(floats.buffer), Uint32Array.from({ length: 65_536 }, (_, half) => half * 65_536));
});

test("a NaN of f16 keeps its sign and payload", () => {
  assertEquals(
    new Uint32Array(toFloat32("F16", bytesOf(Uint16Array.of(0xfe01, 0x7d55))).buffer),
    Uint32Array.of(0xffc02000, 0x7faaa000),
  );
});

const CASES: readonly (readonly [Dtype, ArrayBufferView<ArrayBuffer>, readonly number[]])[] = [
  ["F32", Float32Array.of(1.5, -0, 1e-45, Infinity), [1.5, -0, Math.fround(1e-45), Infinity]],
  ["F64", Float64Array.of(1 / 3, 1e300, -1e-300), [Math.fround(1 / 3), Infinity, -0]],
  ["I32", Int32Array.of(-(2 ** 31), 2 ** 24 + 1, 7), [-(2 ** 31), 2 ** 24, 7]],
  ["U32", Uint32Array.of(2 ** 32 - 1, 5), [2 ** 32, 5]],
  ["I16", Int16Array.of(-32_768, 32_767), [-32_768, 32_767]],
  ["U16", Uint16Array.of(65_535), [65_535]],
  ["I8", Int8Array.of(-128, 127), [-128, 127]],
  ["U8", Uint8Array.of(0, 255), [0, 255]],
  ["BOOL", Uint8Array.of(0, 1), [0, 1]],
];

for (const [dtype, values, expected] of CASES) {
  test(`${dtype} becomes f32, at any place of a buffer`, () => {
    const bytes = bytesOf(values);
    assertEquals(toFloat32(dtype, bytes), Float32Array.from(expected));
    for (const offset of [1, 2, 3, 4, 5, 8]) {
      const buffer = new Uint8Array(offset + bytes.length + 3);
      buffer.set(bytes, offset);
      assertEquals(
        toFloat32(dtype, buffer.subarray(offset, offset + bytes.length)),
        Float32Array.from(expected),
        `at byte ${offset}`,
      );
    }
    assertEquals(toFloat32(dtype, new Uint8Array(0)), new Float32Array(0));
  });
}

test("types without an f32 and parts of an element are refused", () => {
  assertThrows(
    () => toFloat32("F8_E4M3", new Uint8Array(4)),
    "Cannot use numbers of type F8_E4M3: expected one of F32, F16, BF16",
  );
  assertThrows(() => toFloat32("C64", new Uint8Array(8)), "Cannot use numbers of type C64");
  assertThrows(
    () => toFloat32("F32", new Uint8Array(6)),
    "Cannot use 6 bytes as numbers of type F32: expected a multiple of 4",
  );
});
