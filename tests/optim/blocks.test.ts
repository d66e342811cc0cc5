import { assert, assertEquals, assertThrows, test } from "../harness.ts";
import { readAuthors } from "../reference/grid_authors.ts";
import {
  activeBlocks,
  activeLayers,
  type BlockOrder,
  type LAYER_ORDERS,
  roundHalfEven,
} from "../../src/optim/split/blocks.ts";

const blocks = (order: BlockOrder, count: number, density: number, switches: number, seed = 0): number[][] =>
  Array.from({ length: switches }, (_, s) => activeBlocks(order, count, density, s, seed));

test("roundHalfEven() rounds as Python does", () => {
  assertEquals([0.5, 1.5, 2.5, 3.5, 10.5, 11.5, -0.5, -1.5].map((x) => roundHalfEven(x) + 0), [
    0,
    2,
    2,
    4,
    10,
    12,
    0,
    -2,
  ]);
  assertEquals([0, 0.49, 0.51, 2, 2.1, 7 * 0.3, -0.51, 1e15 + 0.5].map(roundHalfEven), [0, 0, 1, 2, 2, 2, -1, 1e15]);
});

test("activeBlocks(): what FRUGAL's own code was seen to do", () => {
  assertEquals(blocks("ascending", 8, 0.25, 5), [[0, 1], [2, 3], [4, 5], [6, 7], [0, 1]]);
  assertEquals(blocks("descending", 8, 0.25, 2).map((one) => one.sort()), [[6, 7], [4, 5]]);
  assertEquals(blocks("mirror", 8, 0.25, 2), [[0, 7], [1, 6]]);
  assertEquals(blocks("ascending", 7, 0.3, 5), [[0, 1], [2, 3], [4, 5], [6, 0], [1, 2]]);
});

test("activeBlocks(): the recorded schedules of FRUGAL's own code", async () => {
  const { block_schedules } = await readAuthors();
  for (const [order, schedules] of Object.entries(block_schedules)) {
    for (const [key, expected] of Object.entries(schedules)) {
      const [count, density] = key.split("@").map(Number);
      assertEquals(blocks(order as BlockOrder, count!, density!, expected.length), expected, `${order} ${key}`);
    }
  }
});

test("activeBlocks(): always as many different blocks, and each as often as any other", () => {
  for (const order of ["ascending", "descending", "mirror", "random"] as const) {
    for (const [count, density, active] of [[8, 0.25, 2], [7, 0.3, 2], [10, 0.4, 4], [6, 1, 6], [9, 0, 0]] as const) {
      const times = new Array<number>(count).fill(0);
      for (const one of blocks(order, count, density, count)) {
        assertEquals([one.length, new Set(one).size], [active, active], `${order} ${count}@${density}`);
        for (const block of one) times[block] = times[block]! + 1;
      }
      if (order !== "random") {
        assertEquals(times, new Array<number>(count).fill(active), `${order} ${count}@${density}: times`);
      }
    }
  }
});

test('activeBlocks("random"): a draw of its own at each switch, by seed, uniform', () => {
  assertEquals(blocks("random", 56, 0.25, 5, 1), blocks("random", 56, 0.25, 5, 1));
  const different = (draws: number[][]): number => new Set(draws.map((one) => one.join())).size;
  assertEquals(different([...blocks("random", 56, 0.25, 20, 1), ...blocks("random", 56, 0.25, 20, 2)]), 40);
  const switches = 3000, times = new Array<number>(8).fill(0);
  for (const block of blocks("random", 8, 0.25, switches).flat()) times[block] = times[block]! + 1;
  // 3000 draws with probability 1/4: deviation 24.
  assert(times.every((count) => Math.abs(count - switches / 4) < 5 * 24), `times ${times.join()}`);
});

test('activeBlocks("mirror") refuses an odd number', () => {
  assertThrows(
    () => activeBlocks("mirror", 7, 0.4, 0, 0),
    'Cannot take 3 of 7 blocks in the order "mirror": expected an even number. Change the density 0.4 or the order',
  );
});

test("activeLayers(): BAdam's orders, in blocks of neighbours", () => {
  const layers = (order: (typeof LAYER_ORDERS)[number], perBlock: number, switches: number): number[][] =>
    Array.from({ length: switches }, (_, s) => activeLayers(order, 5, perBlock, s, 3));
  assertEquals(layers("ascending", 1, 7), [[0], [1], [2], [3], [4], [0], [1]]);
  assertEquals(layers("descending", 1, 6), [[4], [3], [2], [1], [0], [4]]);
  assertEquals(layers("ascending", 2, 4), [[0, 1], [2, 3], [4], [0, 1]]);
  assertEquals(layers("descending", 2, 4), [[4], [2, 3], [0, 1], [4]]);
  assertEquals(layers("random", 5, 2), [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]);
});

test('activeLayers("random"): every epoch takes every layer once, in an order of its own', () => {
  const epochs = Array.from(
    { length: 30 },
    (_, epoch) => Array.from({ length: 6 }, (_, place) => activeLayers("random", 6, 1, epoch * 6 + place, 9)[0]!),
  );
  for (const epoch of epochs) assertEquals(epoch.toSorted(), [0, 1, 2, 3, 4, 5]);
  // 30 of 720 orders: two equal ones are not unlikely, twenty different ones are certain.
  assert(new Set(epochs.map((epoch) => epoch.join())).size > 20, "orders differ");
});
