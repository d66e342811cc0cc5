import { assert, assertClose, assertEquals, test } from "../harness.ts";
import { fillNormal, philox4x32, purposeKey, randomWords, uniform, type Words4 } from "../../src/random/philox.ts";

test("philox4x32-10: the known answers of Random123", () => {
  const all = 0xffffffff;
  const known: readonly (readonly [Words4, [number, number], Words4])[] = [
    [[0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    [[all, all, all, all], [all, all], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], [
      0xd16cfe09,
      0x94fdcceb,
      0x5001e420,
      0x24126ea1,
    ]],
  ];
  for (const [counter, key, words] of known) assertEquals(philox4x32(counter, key), words);
});

test("randomWords(): seed, purpose, step and index each change the words, indices past 2^32 too", () => {
  const draws = [[1, "data", 2, 3], [2, "data", 2, 3], [1, "init", 2, 3], [1, "data", 3, 3], [1, "data", 2, 4], [
    1,
    "data",
    2,
    3 + 2 ** 32,
  ]] as const;
  const seen = new Set(draws.map(([seed, purpose, step, index]) => randomWords(seed, purpose, step, index).join()));
  assertEquals(seen.size, draws.length);
  assertEquals(randomWords(1, "data", 2, 3), randomWords(1, "data", 2, 3));
});

test("purposeKey(): the key that randomWords() uses", () => {
  assertEquals(philox4x32([3, 1, 2, 0], purposeKey(-5, "data")), randomWords(-5, "data", 2, 3 + 2 ** 32));
});

test("uniform(): in [0, 1), with the moments of a uniform distribution and bits down to 2^-53", () => {
  const draws = Array.from({ length: 20000 }, (_, i) => uniform(5, "test", 0, i));
  const mean = (f: (x: number) => number): number => draws.reduce((sum, x) => sum + f(x), 0) / draws.length;
  assert(draws.every((x) => x >= 0 && x < 1), "range");
  // 20000 draws: the mean is off by 0.29 / sqrt(20000) = 0.002, the second moment by as much.
  assertClose([mean((x) => x), mean((x) => x * x)], [1 / 2, 1 / 3], { name: "moments", absolute: 0.01 });
  assert(draws.some((x) => (x * 2 ** 53) % 2 === 1), "the last bit is used");
});

test("fillNormal(): moments of a normal distribution, independent halves, any length, by purpose", () => {
  const n = 40000, values = new Float32Array(n);
  fillNormal(values, 2, 1, "test");
  const mean = (f: (x: number, i: number) => number): number => values.reduce((sum, x, i) => sum + f(x / 2, i), 0) / n;
  // Standard errors of 40000 draws: 0.005, 0.007, 0.02 and 0.05; the two of one block must not depend on each other.
  assertClose([mean((x) => x), mean((x) => x * x), mean((x) => x ** 3)], [0, 1, 0], {
    name: "moments 1 to 3",
    absolute: 0.08,
  });
  assertClose([mean((x) => x ** 4)], [3], { name: "moment 4", absolute: 0.25 });
  assertClose([mean((x, i) => x * (values[i ^ 1]! / 2))], [0], { name: "correlation of neighbours", absolute: 0.03 });
  assertClose([mean((x) => Number(Math.abs(x) < 1))], [0.6827], { name: "within one deviation", absolute: 0.012 });

  const odd = new Float32Array(7), other = new Float32Array(7);
  fillNormal(odd, 2, 1, "test");
  assertEquals([...odd], [...values.slice(0, 7)], "a shorter tensor has the same beginning");
  fillNormal(other, 2, 1, "other");
  assert(odd.every((x, i) => x !== other[i] && x !== 0), "another purpose, other numbers, and every element is set");
});
