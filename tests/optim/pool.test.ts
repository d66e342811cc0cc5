import { assert, assertEquals, assertThrows, test } from "../harness.ts";
import { DEFAULT_SPEC, type OptimizerSpec } from "../../src/optim/optimizer_spec.ts";
import { blockPool, layerPool, type Pool } from "../../src/optim/pool.ts";
import { BLOCK } from "../../src/optim/rule/state_full.ts";
import { size, tensor } from "../../src/plan/tensor.ts";
import type { TrainableVariable } from "../../src/plan/variable.ts";

const member = (label: string, shape: readonly number[], layer?: number): TrainableVariable => ({
  value: tensor(label, shape, "trainable"),
  needsGradient: true,
  kind: "linear",
  ...(layer !== undefined && { layer }),
});
/** Sizes that no block of 256 divides, among them. */
const SHAPES = [[16, 16], [7, 9], [40, 20], [33, 31], [16, 16], [100, 3], [1, 1], [64, 64]];
const MATRICES = SHAPES.map((shape, i) => member(`w${i}`, shape));
/** Layers of different sizes, the middle one the largest. */
const LAYERS = [20, 50, 30, 10, 40].flatMap((
  width,
  i,
) => [
  member(`model.layers.${i}.mlp.up_proj.weight`, [width, 10], i),
  member(`model.layers.${i}.norm.weight`, [width], i),
]);

const spec = (changes: Partial<OptimizerSpec>): OptimizerSpec => ({ ...DEFAULT_SPEC, split: "blocks", ...changes });
const rounded = (one: TrainableVariable): number => Math.ceil(size(one.value) / BLOCK) * BLOCK;

/** The need of one period, after it was seen that nothing overlaps. */
function checkOffsets(name: string, pool: Pool, offsets: ReadonlyMap<TrainableVariable, number>): number {
  let end = 0;
  for (const [one, offset] of [...offsets].sort(([, a], [, b]) => a - b)) {
    assertEquals(offset % BLOCK, 0, `${name}: ${one.value.label} starts at a block`);
    assert(offset >= end, `${name}: ${one.value.label} at ${offset} overlaps what ends at ${end}`);
    end = offset + rounded(one);
  }
  assert(end <= pool.elements, `${name}: ${end} numbers in a pool of ${pool.elements}`);
  return end;
}

test(
  "blockPool(): matrices lie side by side, each from a block of 256 on, and the pool is what the largest period " +
    "needs",
  () => {
    for (const block_order of ["ascending", "descending", "mirror", "random"] as const) {
      for (const density of [0.25, 0.5, 1]) {
        const pool = blockPool(MATRICES, spec({ block_order, density }), 3), name = `${block_order} ${density}`;
        const used = Array.from({ length: 40 }, (_, index) => {
          const offsets = pool.offsets(index, density);
          assertEquals(offsets.size, 8 * density, name);
          return checkOffsets(`${name}, switch ${index}`, pool, offsets);
        });
        // Random draws may not bring the largest: the pool is for the largest matrices.
        const most = block_order === "random"
          ? [...MATRICES].map(rounded).sort((a, b) => b - a).slice(0, 8 * density).reduce((a, b) => a + b, 0)
          : Math.max(...used);
        assertEquals(pool.elements, most, name);
      }
    }
  },
);

test("blockPool(): of no density nothing, and where the density changes, the largest of it", () => {
  assertEquals(blockPool(MATRICES, spec({ density: 0 }), 3).elements, 0);
  const shrinking = blockPool(MATRICES, spec({ density: 1, density_end: 0.25 }), 3),
    growing = blockPool(MATRICES, spec({ density: 0.25, density_end: 1 }), 3);
  const all = MATRICES.map(rounded).reduce((a, b) => a + b, 0);
  assertEquals([shrinking.elements, growing.elements], [all, all]);
  for (let index = 0; index < 20; index++) {
    for (const density of [0.25, 0.6, 1]) {
      checkOffsets(`switch ${index} at ${density}`, growing, growing.offsets(index, density));
    }
  }
});

test("blockPool() takes blocks in FRUGAL's order, whatever that of the targets", () => {
  const layer = ["up_proj", "q_proj", "down_proj"].map((name) =>
    member(`model.layers.0.mlp.${name}.weight`, [4, 4], 0)
  );
  const pool = blockPool(layer, spec({ density: 1 / 3, block_order: "ascending" }), 0);
  assertEquals([0, 1, 2, 3].map((index) => [...pool.offsets(index, 1 / 3).keys()].map((one) => layer.indexOf(one))), [
    [1],
    [2],
    [0],
    [1],
  ]);
});

test("layerPool(): one layer at a time, norms too, in a pool for the largest", () => {
  for (const block_order of ["ascending", "descending", "random"] as const) {
    const pool = layerPool(LAYERS, spec({ split: "layers", density: 0, block_order }), 3);
    assertEquals([pool.sets, pool.elements], [5, 512 + 256]);
    const sets = Array.from({ length: 15 }, (_, index) => {
      const offsets = pool.offsets(index, 0), set = pool.setAt(index);
      checkOffsets(`${block_order}, switch ${index}`, pool, offsets);
      assertEquals([...offsets.keys()], [LAYERS[2 * set], LAYERS[2 * set + 1]], `${block_order}: set ${set}`);
      return set;
    });
    for (const epoch of [0, 5, 10]) {
      assertEquals(sets.slice(epoch, epoch + 5).toSorted(), [0, 1, 2, 3, 4], `${block_order}: every layer once`);
    }
    if (block_order !== "random") {
      assertEquals(sets.slice(0, 5), block_order === "ascending" ? [0, 1, 2, 3, 4] : [4, 3, 2, 1, 0]);
    }
  }
});

test("layerPool(): several layers at once where the density says so", () => {
  const pool = layerPool(LAYERS, spec({ split: "layers", density: 0.4, block_order: "ascending" }), 3);
  assertEquals([pool.sets, ...[0, 1, 2, 3].map((index) => pool.setAt(index))], [3, 0, 1, 2, 0]);
  assertEquals([0, 1, 2].map((index) => pool.offsets(index, 0.4).size), [4, 4, 2]);
  assertEquals(pool.elements, Math.max(256 + 512, 512 + 256) + 2 * 256);
});

test("layerPool() refuses the order that only blocks have", () => {
  assertThrows(
    () => layerPool(LAYERS, spec({ split: "layers", block_order: "mirror" }), 3),
    'Cannot use block_order "mirror" with layers: expected random, ascending or descending',
  );
});
