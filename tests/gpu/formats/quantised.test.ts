// int8 and nf4 against versions in f64 that look at one group after the other.

import { assert, assertEquals, assertThrows, random, test } from "../../harness.ts";
import { dataWords, type Format, GROUP, pack, unpack, wordsOf } from "../../../src/gpu/formats/index.ts";
import { NF4 } from "../../../src/gpu/formats/nf4.ts";

type Floats = Float32Array<ArrayBuffer>;
type Quantised = "int8" | "nf4";

/** Codes and scales of a group as they should be, and how far a number may move, as a share of the largest. */
interface Reference {
  readonly group: (values: readonly number[]) => { readonly codes: readonly number[]; readonly scale: number };
  readonly value: (code: number) => number;
  readonly bits: number;
  readonly error: number;
}

const largestOf = (values: readonly number[]): number => Math.max(...values.map(Math.abs));

const REFERENCE: Readonly<Record<Quantised, Reference>> = {
  int8: {
    group(values) {
      const scale = Math.fround(largestOf(values) / 127);
      const even = (x: number): number => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));
      return {
        scale,
        codes: values.map((value) => (scale === 0 ? 0 : Math.min(127, Math.max(-127, even(value / scale)))) & 0xff),
      };
    },
    value: (code) => (code << 24) >> 24,
    bits: 8,
    // Half a step, and the rounding of scale and product.
    error: 0.5 / 127 + 2 ** -22,
  },
  nf4: {
    group(values) {
      const scale = largestOf(values);
      const distances = (value: number): number[] =>
        NF4.map((entry) => Math.abs(entry - (scale === 0 ? 0 : value / scale)));
      return { scale, codes: values.map((value) => distances(value).indexOf(Math.min(...distances(value)))) };
    },
    value: (code) => NF4[code]!,
    bits: 4,
    // Half of the widest gap, between -1 and -0.696.
    error: (1 - 0.6961928009986877) / 2 + 2 ** -22,
  },
};
const FORMATS = Object.keys(REFERENCE) as Quantised[];

/** Words and numbers of a matrix, by the reference. */
function expected(format: Quantised, values: Floats): { words: Uint32Array; unpacked: Floats } {
  const { group, value, bits } = REFERENCE[format], perWord = 32 / bits, data = Math.ceil(values.length / perWord);
  const words = new Uint32Array(data + Math.ceil(values.length / 64)),
    scales = new Float32Array(words.buffer),
    unpacked = new Float32Array(values.length);
  for (let first = 0; first < values.length; first += 64) {
    const { codes, scale } = group([...values.subarray(first, first + 64)]);
    scales[data + first / 64] = scale;
    codes.forEach((code, i) => {
      const at = first + i;
      words[Math.floor(at / perWord)] = words[Math.floor(at / perWord)]! + code * 2 ** (bits * (at % perWord));
      unpacked[at] = value(code) * scale;
    });
  }
  return { words, unpacked };
}

test("pack() and unpack(): codes, scales and numbers of the reference, around the edges of words and groups", () => {
  for (const format of FORMATS) {
    for (const length of [1, 2, 3, 7, 8, 9, 63, 64, 65, 127, 128, 129, 1000]) {
      const next = random(length), name = `${format} of ${length}`;
      // Groups of different sizes.
      const values = Float32Array.from({ length }, (_, i) => (2 * next() - 1) * 10 ** -(Math.floor(i / 64) % 4)),
        words = pack(format, values);
      const { words: right, unpacked } = expected(format, values);
      assertEquals(words, right, name);
      assertEquals(words.length, wordsOf(format, length), name);
      const back = unpack(format, words, length);
      assertEquals(back, unpacked, name);
      back.forEach((value, i) => {
        const group = [...values.subarray(i - (i % GROUP), i - (i % GROUP) + GROUP)];
        assert(
          Math.abs(value - values[i]!) <= REFERENCE[format].error * largestOf(group),
          `${name}: ${values[i]} at ${i} became ${value}`,
        );
      });
      assertEquals(unpack(format, Uint32Array.of(7, ...words).subarray(1), length), back, `${name}: a view`);
      assertEquals(pack(format, Float32Array.of(9, ...values).subarray(1)), words, `${name}: a view of values`);
    }
  }
});

test("the largest of a group is exact in nf4 and nearly so in int8; signs, zeros and ties", () => {
  assertEquals(unpack("nf4", pack("nf4", Float32Array.of(-3.7, 0, 1.2, -0)), 4)[0], Math.fround(-3.7));
  assertEquals(
    [...unpack("nf4", pack("nf4", new Float32Array(NF4)), 16)],
    [...new Float32Array(NF4)],
    "the table itself",
  );
  // Scale 1: 2.5 and 3.5 are ties, which go to the even number.
  assertEquals([...unpack("int8", pack("int8", Float32Array.of(127, -127, 2.5, 3.5, -2.5, -0.5, 0.4)), 7)], [
    127,
    -127,
    2,
    4,
    -2,
    0,
    0,
  ]);
  for (const format of FORMATS) {
    const zeros = pack(format, new Float32Array(130));
    assertEquals([...zeros.subarray(dataWords(format, 130))], [0, 0, 0], `${format}: scales of zeros`);
    assertEquals(unpack(format, zeros, 130), new Float32Array(130), `${format}: zeros`);
    const tiny = unpack(format, pack(format, Float32Array.of(1e-45, -1e-45, 3e-39)), 3);
    assert(
      tiny.every((value) => Number.isFinite(value) && Math.abs(value) <= 4e-39),
      `${format}: subnormals became ${tiny}`,
    );
  }
});

test("words of int8 and nf4: the first number lowest, the scales right after", () => {
  const int8 = Uint32Array.of(0x01_81_00_7f, 0x00_00_00_fe, new Uint32Array(Float32Array.of(2).buffer)[0]!);
  assertEquals(pack("int8", Float32Array.of(254, 0, -254, 2, -4)), int8);
  const nf4 = Uint32Array.of(0x7777_770f, 0x7, new Uint32Array(Float32Array.of(5).buffer)[0]!);
  assertEquals(pack("nf4", Float32Array.of(5, -5, 0, 0, 0, 0, 0, 0, 0)), nf4);
});

test("pack() refuses what would spoil a group, and says where it is; half precision keeps it", () => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    const values = new Float32Array(200).map((_, i) => (i === 70 || i === 90 ? bad : i));
    for (const format of FORMATS) {
      assertThrows(
        () => pack(format, values),
        `Cannot store the values as ${format}: number 70 is ${bad}, expected finite ones`,
      );
      assertThrows(() => pack(format, values, "w", 640), `Cannot store w as ${format}: number 710 is ${bad}`);
    }
    for (const format of ["f32", "f16", "bf16"] as const) {
      assertEquals(unpack(format, pack(format, values), 200)[70], bad);
    }
  }
});

test("wordsOf(): numbers and scales, rounded up to whole words", () => {
  const words = (format: Format): number[] =>
    [0, 1, 2, 3, 4, 5, 8, 9, 64, 65, 4096].map((length) => wordsOf(format, length));
  assertEquals(words("f32"), [0, 1, 2, 3, 4, 5, 8, 9, 64, 65, 4096]);
  for (const format of ["f16", "bf16"] as const) assertEquals(words(format), [0, 1, 1, 2, 2, 3, 4, 5, 32, 33, 2048]);
  assertEquals(words("int8"), [0, 2, 2, 2, 2, 3, 3, 4, 17, 19, 1088]);
  assertEquals(words("nf4"), [0, 2, 2, 2, 2, 2, 2, 3, 9, 11, 576]);
});
