import { IGNORED } from "../../src/data/ignored.ts";
import { classificationBatch, sequenceBatch } from "../../src/data/batch.ts";
import type { Example } from "../../src/data/examples/example.ts";
import { packExamples } from "../../src/data/packing.ts";
import { assert, assertEquals, assertRejects, assertThrows, random, test } from "../harness.ts";
import { collect } from "./rows/memory_file.ts";

const PAD = 0;

/** An example whose tokens tell which it is: 1000 * number + place. */
function example(number: number, length: number): Example {
  const ids = Uint32Array.from({ length: length + 1 }, (_, place) => 1000 * number + place);
  return { input_ids: ids.slice(0, length), labels: ids.slice(1).map((id) => (id % 3 === 0 ? IGNORED : id)) };
}

async function* of<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

test("packExamples() loses, doubles and splits nothing, and no sequence is too long", async () => {
  const next = random(31);
  for (let round = 0; round < 30; round++) {
    const length = 1 + Math.floor(next() * 60);
    const examples = Array.from(
      { length: Math.floor(next() * 400) },
      (_, i) => example(i + 1, 1 + Math.floor(next() ** 2 * length)),
    );
    const sequences = await collect(packExamples(of(examples), length));
    for (const sequence of sequences) {
      const used = sequence.reduce((sum, { input_ids }) => sum + input_ids.length, 0);
      assert(used > 0 && used <= length, `${used} positions of ${length} are used`);
    }
    const placed = new Set(sequences.flat());
    assert(
      placed.size === sequences.flat().length && examples.every((one) => placed.has(one)) &&
        placed.size === examples.length,
      "not each example once",
    );
    assertEquals(await collect(packExamples(of(examples), length)), sequences, "a second time");
  }
});

test("packExamples() holds 32 sequences at most, closes the fullest, and wastes little", async () => {
  // No two of these fit together.
  let taken = 0;
  const large = async function* () {
    for (let i = 1; i <= 100; i++) {
      taken++;
      yield example(i, i === 5 ? 10 : 8);
    }
  };
  const sequences = packExamples(large(), 15);
  assertEquals((await sequences.next()).value, [example(5, 10)]);
  assertEquals(taken, 33);
  const next = random(32),
    examples = Array.from({ length: 3000 }, (_, i) => example(i + 1, 1 + Math.floor(next() * 100)));
  const packed = await collect(packExamples(of(examples), 128)),
    used = examples.reduce((sum, { input_ids }) => sum + input_ids.length, 0);
  const share = used / (128 * packed.length);
  assert(share > 0.95, `only ${share} of the positions are used`);
  await assertRejects(
    () => collect(packExamples(of([example(1, 16)]), 15)),
    "Cannot pack an example of 16 positions: expected at most 15",
  );
});

test(
  "sequenceBatch(): documents partition each row, labels stay inside them, padding is a " +
    "document of its own",
  async () => {
    const next = random(33);
    for (let round = 0; round < 30; round++) {
      const length = 4 + Math.floor(next() * 40), batch = 1 + Math.floor(next() * 4);
      const examples = Array.from({ length: 20 }, (_, i) => example(i + 1, 1 + Math.floor(next() * length)));
      const sequences = (await collect(packExamples(of(examples), length))).slice(0, batch);
      const { input_ids, labels, documents, position_ids } = sequenceBatch(sequences, {
        batch,
        length,
        pad_token_id: PAD,
      });
      assertEquals([input_ids.length, labels.length, documents!.length, position_ids!.length], [
        batch * length,
        batch * length,
        batch * length * 2,
        batch * length,
      ]);
      for (let row = 0; row < batch; row++) {
        const found: Example[] = [];
        for (let start = 0; start < length;) {
          const at = row * length + start, end = documents![2 * at + 1]!;
          assert(end > start && end <= length, `row ${row}: a document from ${start} to ${end}`);
          for (let place = start; place < end; place++) {
            assertEquals([...documents!.subarray(2 * (row * length + place), 2 * (row * length + place) + 2)], [
              start,
              end,
            ]);
            assertEquals(position_ids![row * length + place], place - start);
          }
          found.push({ input_ids: input_ids.slice(at, at + end - start), labels: labels.slice(at, at + end - start) });
          start = end;
        }
        const expected = [...sequences[row] ?? []], used = expected.reduce((sum, one) => sum + one.input_ids.length, 0);
        if (used < length) {
          expected.push({
            input_ids: new Uint32Array(length - used).fill(PAD),
            labels: new Uint32Array(length - used).fill(IGNORED),
          });
        }
        assertEquals(found, expected);
      }
    }
  },
);

test("sequenceBatch() without packing: one example a row, the padding token, empty rows", () => {
  const batch = sequenceBatch([[example(1, 2)], [example(2, 3)]], { batch: 3, length: 3, pad_token_id: 9 });
  assertEquals(batch, {
    input_ids: Uint32Array.of(1000, 1001, 9, 2000, 2001, 2002, 9, 9, 9),
    labels: Uint32Array.of(1001, IGNORED, IGNORED, IGNORED, 2002, 2003, IGNORED, IGNORED, IGNORED),
    documents: Uint32Array.of(0, 2, 0, 2, 2, 3, 0, 3, 0, 3, 0, 3, 0, 3, 0, 3, 0, 3),
    position_ids: Uint32Array.of(0, 1, 0, 0, 1, 2, 0, 1, 2),
  });
  assertThrows(() => sequenceBatch([[], []], { batch: 1, length: 3, pad_token_id: 0 }), "at most 1 sequences, got 2");
  assertThrows(
    () => sequenceBatch([[example(1, 2), example(2, 2)]], { batch: 1, length: 3, pad_token_id: 0 }),
    "at most 3 positions, got 4",
  );
});

test("classificationBatch(): one label a row", () => {
  const text = (label: number, length: number, types?: number[]) => {
    return {
      input_ids: new Uint32Array(length).fill(label + 5),
      label,
      ...(types && { token_type_ids: Uint32Array.from(types) }),
    };
  };
  const shape = { batch: 3, length: 3, pad_token_id: 1 };
  assertEquals(classificationBatch([[text(2, 3)], [text(0, 1)]], shape), {
    input_ids: Uint32Array.of(7, 7, 7, 5, 1, 1, 1, 1, 1),
    labels: Uint32Array.of(2, 0, IGNORED),
    documents: Uint32Array.of(0, 3, 0, 3, 0, 3, 0, 1, 1, 3, 1, 3, 0, 3, 0, 3, 0, 3),
    position_ids: Uint32Array.of(0, 1, 2, 0, 0, 1, 0, 1, 2),
  });
  const pairs = classificationBatch([[text(2, 3, [0, 0, 1])], [text(0, 2, [0, 1])]], shape);
  assertEquals(pairs.token_type_ids, Uint32Array.of(0, 0, 1, 0, 1, 0, 0, 0, 0));
  assertThrows(() => classificationBatch([[text(0, 1), text(1, 1)]], shape), "one text a row");
});
