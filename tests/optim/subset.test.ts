import { assert, assertEquals, assertThrows, test } from "../harness.ts";
import { packSelection, POSITIONS_PER_WORD, randomOrder, randomSubset } from "../../src/optim/split/subset.ts";

test("randomSubset(): ascending, different, below the total, of the size asked for", () => {
  for (const [total, count] of [[1, 0], [1, 1], [15, 7], [16, 16], [1376, 344], [5000, 4999]] as const) {
    const indices = randomSubset(total, count, 1, "test", 0);
    assertEquals(indices.length, count);
    assert(
      indices.every((index, i) => index < total && (i === 0 || index > indices[i - 1]!)),
      `${count} of ${total}: ${indices.join()}`,
    );
  }
});

test("randomSubset(): a function of seed, purpose and draw, each of which changes it", () => {
  const draws = [[1, "w", 0], [2, "w", 0], [1, "v", 0], [1, "w", 1]] as const;
  assertEquals(
    new Set(draws.map(([seed, purpose, drawn]) => randomSubset(500, 100, seed, purpose, drawn).join())).size,
    draws.length,
  );
  assertEquals(randomSubset(500, 100, 1, "w", 0), randomSubset(500, 100, 1, "w", 0));
});

test("randomSubset(): each index, and each pair of neighbours, equally often", () => {
  const total = 12,
    count = 5,
    draws = 4000,
    times = new Array<number>(total).fill(0),
    pairs = new Array<number>(total - 1).fill(0);
  for (let drawn = 0; drawn < draws; drawn++) {
    const chosen = new Set(randomSubset(total, count, 7, "uniform", drawn));
    for (const index of chosen) {
      times[index] = times[index]! + 1;
      if (chosen.has(index + 1)) pairs[index] = pairs[index]! + 1;
    }
  }
  const within = (counts: readonly number[], p: number): boolean =>
    counts.every((n) => Math.abs(n - draws * p) < 5 * Math.sqrt(draws * p * (1 - p)));
  assert(within(times, count / total), `times ${times.join()}`);
  assert(within(pairs, (count * (count - 1)) / (total * (total - 1))), `pairs ${pairs.join()}`);
});

test("randomOrder(): all orders of three are equally likely", () => {
  const draws = 6000, times = new Map<string, number>();
  for (let drawn = 0; drawn < draws; drawn++) {
    const order = randomOrder(3, 3, 5, "order", drawn).join();
    times.set(order, (times.get(order) ?? 0) + 1);
  }
  assertEquals(times.size, 6);
  // Probability 1/6: deviation 29.
  assert([...times.values()].every((n) => Math.abs(n - draws / 6) < 5 * 29), `times ${[...times.values()].join()}`);
});

test("randomSubset() refuses more than there are", () => {
  assertThrows(() => randomSubset(4, 5, 0, "test", 0), "Cannot draw 5 of 4: expected 0 to 4");
});

/** The result that a kernel makes of the words. */
const selectedAt = (words: Uint32Array, i: number): boolean => ((words[i >> 4]! >>> (i & 15)) & 1) === 1;
function slotAt(words: Uint32Array, i: number): number {
  const word = words[i >> 4]!;
  let below = word & ((1 << (i & 15)) - 1), ones = 0;
  for (; below; below &= below - 1) ones++;
  return (word >>> 16) + ones;
}

test("packSelection(): tells of each position whether it is selected and which slot it has", () => {
  for (const total of [1, 15, 16, 17, 1376]) {
    for (const count of [0, Math.floor(total / 4), total]) {
      const indices = randomSubset(total, count, 2, "pack", 0), words = packSelection(indices, total);
      assertEquals(words.length, Math.ceil(total / POSITIONS_PER_WORD));
      const found = [...Array(total).keys()].filter((i) => selectedAt(words, i));
      assertEquals(found, [...indices], `${count} of ${total}: selected`);
      assertEquals(found.map((i) => slotAt(words, i)), [...found.keys()], `${count} of ${total}: slots`);
    }
  }
});

test("packSelection(): 65 535 before a word fit, one more does not", () => {
  const total = 65536 + 16, all = Uint32Array.from({ length: total }, (_, i) => i);
  const words = packSelection(all.slice(1), total); // 65 535 of the first 65 536
  assertEquals([slotAt(words, 65536), words[4096]! >>> 16], [65535, 65535]);
  assertThrows(
    () => packSelection(all, total),
    "Cannot pack 65552 of 65552 positions: expected at most 65535 before the last word. Select fewer",
  );
});
