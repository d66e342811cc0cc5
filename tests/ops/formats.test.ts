// Weights in every format: products and embeddings to the bit as with weights in f32 that hold the same numbers.

import { assert, assertClose, assertEquals, assertThrows, random, test } from "../harness.ts";
import * as reference from "../reference/ops.ts";
import type { Reals } from "../reference/ops.ts";
import { toleranceOf, TOLERANCES } from "../tolerances.ts";
import { embeddingSegments } from "../../src/data/text.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import { type Format, pack, unpack } from "../../src/gpu/formats/index.ts";
import { NF4 } from "../../src/gpu/formats/nf4.ts";
import { embedding } from "../../src/ops/embedding.ts";
import { linear } from "../../src/ops/linear.ts";
import { matmul } from "../../src/ops/matmul.ts";
import type { MatmulMode } from "../../src/ops/matmul_operands.ts";
import { Recorder } from "../../src/plan/recorder.ts";
import { type ElementType, size, type Tensor, tensor } from "../../src/plan/tensor.ts";
import { testTargets, type Words } from "./run_op.ts";
import { type Floats, given, type Recorded, runAll } from "./run_recorded.ts";
import { absolute, integers, uniform } from "./values.ts";
import { testGpu } from "../test_gpu.ts";

/** All but f32. */
const IS_PACKED = ["bf16", "f16", "int8", "nf4"] as const satisfies readonly Format[];

/** The numbers as a format keeps them. */
const kept = (format: Format, values: ArrayLike<number>): Floats =>
  unpack(format, pack(format, Float32Array.from(values)), values.length);

/**
 * [M, rows of W, numbers in a row], these multiples of 4: around every tile, primes, groups of 64 that end inside rows
 * and with the matrix, an odd count of fours, a sum that is long enough to be split. Odd rows but for one: fewer
 * kernels to compile.
 */
const SIZES = [[1, 1, 4], [2, 3, 8], [7, 5, 12], [17, 15, 16], [31, 37, 36], [64, 64, 64], [66, 65, 68], [
  2,
  3,
  2180,
]] as const;

/** As many tiles of 64 x 128 as choose that tile, for y and for dx. */
const MANY_TILES = [[1030, 2056, 20], [1030, 20, 2056]] as const;

/** y = x Wᵀ and dx = dy W. What a product is added to has nothing to do with the format. */
function recordProducts(
  target: KernelTarget,
  [M, rows, columns]: readonly [number, number, number],
  format: Format,
  stored: Format,
): Recorded {
  const r = new Recorder({ target, training: true }),
    written = new Map<Tensor, Floats | Words>(),
    next = random(M * 1e6 + rows * 1e3 + columns);
  const numbers = (length: number): Reals => uniform(next, length);
  const w = given(written, "w", [rows, columns], kept(format, numbers(rows * columns)), stored, "frozen");
  const x = given(written, "x", [M, columns], numbers(M * columns)), y = linear(r, x, w);
  r.setGradient(y, given(written, "d(y)", [M, rows], numbers(M * rows)).value);
  r.backward();
  return { program: { name: "products", steps: r.steps }, written, outputs: { y: y.value, dx: r.gradientOf(x)! } };
}

test("products with a weight in every format, forward and backward, around every tile", async () => {
  for (const target of await testTargets()) {
    const cases = [
      ...IS_PACKED.flatMap((format) => SIZES.map((sizes) => ({ format, sizes }))),
      ...(target === "tiled" ? MANY_TILES.map((sizes) => ({ format: "nf4" as const, sizes })) : []),
    ];
    const results = await runAll(
      cases.flatMap((
        { format, sizes },
      ) => [recordProducts(target, sizes, format, format), recordProducts(target, sizes, format, "f32")]),
    );
    cases.forEach(({ format, sizes: [M, rows, columns] }, i) => {
      const [packed, f32] = [results[2 * i]!, results[2 * i + 1]!];
      assert(f32["y"]!.some((value) => value !== 0), "a product of zeros shows nothing");
      // The kernels differ in how they load a weight, not in the order of any sum.
      for (const [name, values] of Object.entries(f32)) {
        assertEquals(
          packed[name],
          values,
          `(${M}, ${columns}) (${rows}, ${columns})ᵀ in ${format} (${target}): ${name}`,
        );
      }
    });
  }
});

test(
  "matmul() and embedding() refuse what they cannot read four numbers at a time",
  () => {
    for (const format of IS_PACKED) {
      const record = (mode: MatmulMode, N: number, K: number, b_offset = 0) => (): void => {
        const t = (length: number, type: ElementType = "f32"): Tensor => tensor(type, [length], "state", type);
        const r = new Recorder({ target: "tiled", training: false });
        matmul(r, mode, {
          a: t(5 * K),
          b: t(N * K + b_offset, format),
          target: { tensor: t(5 * N), accumulate: false },
        }, {
          M: 5,
          N,
          K,
          b_offset,
        });
      };
      assertThrows(
        record("NT", 4, 6),
        `mode NT with ${format} in ${format}: rows of 6 numbers from number 0 on, expected multiples of 4`,
      );
      assertThrows(record("NN", 6, 4), "rows of 6");
      assertThrows(record("TN", 6, 4), "rows of 6");
      assertThrows(record("NT", 4, 4, 2), "from number 2");
      record("NT", 7, 4)();
      record("NN", 4, 7)();
      record("NT", 7, 4, 64)();
      const weight = { value: tensor("w", [3, 6], "frozen", format), needsGradient: false };
      assertThrows(
        () =>
          embedding(new Recorder({ target: "portable", training: false }), weight, tensor("ids", [2], "input", "u32")),
        `embedding() of w in ${format}: its rows have 6 numbers, expected a multiple of 4`,
      );
    }
  },
);

/** The rows of a matrix that `ids` choose. */
function recordEmbedding(
  target: KernelTarget,
  V: number,
  C: number,
  weight: Floats | Words,
  format: Format,
  ids: Words,
): Recorded {
  const r = new Recorder({ target, training: false }),
    w = tensor("w", [V, C], "frozen", format),
    chosen = tensor("ids", [ids.length], "input", "u32");
  const y = embedding(r, { value: w, needsGradient: false }, chosen);
  return {
    program: { name: "embedding", steps: r.steps },
    written: new Map<Tensor, Floats | Words>([[w, weight], [chosen, ids]]),
    outputs: { y: y.value },
  };
}

test("embedding() of every format copies rows of the numbers that the format keeps", async () => {
  const { target } = await testGpu(), next = random(5);
  const cases = IS_PACKED.flatMap((format) =>
    [[1, 1, 4], [3, 2, 8], [9, 3, 4], [17, 5, 12], [65, 300, 64], [70, 37, 36], [8, 50257, 4]].map(([N, V, C]) => {
      const weight = new Float32Array(uniform(next, V! * C!)), ids = integers(next, N!, V!);
      if (N! > 1) ids[0] = V! + 3; // reads the last row
      return { format, V: V!, C: C!, ids, weight };
    })
  );
  const results = await runAll(
    cases.map(({ format, V, C, weight, ids }) => recordEmbedding(target, V, C, weight, format, ids)),
  );
  cases.forEach(({ format, V, C, ids, weight }, i) => {
    const inside = ids.map((id) => Math.min(id, V - 1)),
      expected = reference.embedding(Float64Array.from(kept(format, weight)), inside, C);
    assertEquals(
      results[i]!["y"],
      Float32Array.from(expected),
      `embedding in ${format} of ${ids.length} ids, V ${V}, C ${C}`,
    );
  });
});

test("kernels unpack every f16 to the bit, subnormals and infinities too, every int8 and every nf4", async () => {
  const { target } = await testGpu(),
    words = (length: number, word: (i: number) => number): Words => Uint32Array.from({ length }, (_, i) => word(i));
  const rows = (V: number): Words => words(V, (i) => i), scale = new Uint32Array(Float32Array.of(1 / 3).buffer)[0]!;
  const halves = words(0x8000, (i) => (2 * i) | ((2 * i + 1) << 16));
  const bytes = words(64 + 4, (i) => (i < 64 ? 0x03020100 + 0x04040404 * i : scale));
  const codes = words(2 + 1, (i) => [0x76543210, 0xfedcba98, scale][i]!);
  const [f16, int8, nf4] = await runAll([
    recordEmbedding(target, 0x4000, 4, halves, "f16", rows(0x4000)),
    recordEmbedding(target, 64, 4, bytes, "int8", rows(64)),
    recordEmbedding(target, 4, 4, codes, "nf4", rows(4)),
  ]);
  const expected = unpack("f16", halves, 0x10000), bits = (values: Floats): Words => new Uint32Array(values.buffer);
  f16!["y"]!.forEach((value, half) =>
    assert(
      bits(f16!["y"]!)[half] === bits(expected)[half] || (Number.isNaN(value) && Number.isNaN(expected[half])),
      `${half.toString(16)} became ${value}, expected ${expected[half]}`,
    )
  );
  assertEquals(
    [...int8!["y"]!],
    [...Array(256).keys()].map((byte) => Math.fround(((byte << 24) >> 24) * Math.fround(1 / 3))),
  );
  assertEquals([...nf4!["y"]!], NF4.map((value) => Math.fround(Math.fround(value) * Math.fround(1 / 3))));
});

test("weights in bf16 are trained: the gradients of linear() and embedding() are f32", async () => {
  for (const target of await testTargets()) {
    const next = random(6),
      [N, V, C] = [17, 5, 12],
      ids = integers(next, N, V),
      { order, segment_ids, segment_offsets } = embeddingSegments(ids);
    const r = new Recorder({ target, training: true }), written = new Map<Tensor, Floats | Words>();
    const input = (label: string, data: Words): Tensor => {
      const made = tensor(label, [data.length], "input", "u32");
      written.set(made, data);
      return made;
    };
    const table = given(written, "table", [V, C], uniform(next, V * C), "bf16"),
      w = given(written, "w", [V, C], uniform(next, V * C), "bf16");
    const [x, dx, dy] = [uniform(next, N * C), uniform(next, N * C), uniform(next, N * V)];
    const segments = {
      order: input("order", order),
      segment_ids: input("ids of segments", segment_ids),
      segment_offsets: input("offsets", segment_offsets),
    };
    r.setGradient(embedding(r, table, input("ids", ids), segments), given(written, "d(rows)", [N, C], dx).value);
    r.setGradient(linear(r, given(written, "x", [N, C], x), w), given(written, "d(y)", [N, V], dy).value);
    r.backward();
    const outputs = { table: r.gradientOf(table)!, w: r.gradientOf(w)! };
    for (const one of Object.values(outputs)) assertEquals([one.type, size(one)], ["f32", V * C]);
    const [result] = await runAll([{ program: { name: "train", steps: r.steps }, written, outputs }]);
    const ofTable = (of: Reals): Reals => reference.embeddingBackward(of, ids, V, C);
    assertClose(result!["table"]!, ofTable(dx), {
      name: `table (${target})`,
      scale: ofTable(absolute(dx)),
      relative: toleranceOf(TOLERANCES.embedding, N),
    });
    const ofWeight = (a: Reals, b: Reals): Reals => reference.matmul("TN", a, b, { M: V, N: C, K: N });
    assertClose(result!["w"]!, ofWeight(dy, x), {
      name: `w (${target})`,
      scale: ofWeight(absolute(dy), absolute(x)),
      relative: toleranceOf(TOLERANCES.matmul, N),
    });
  }
});
