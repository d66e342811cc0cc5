import { IGNORED } from "../../src/data/ignored.ts";
import { type Batch, sequenceBatch } from "../../src/data/batch.ts";
import type { Example } from "../../src/data/examples/example.ts";
import { type ExampleOptions, languageModelExample } from "../../src/data/examples/language_model.ts";
import { readFiles } from "../../src/data/rows/read_rows.ts";
import type { ReadableBytes } from "../../src/data/rows/row_source.ts";
import { exampleBatches, type ExampleSource, ExampleStream } from "../../src/data/stream.ts";
import { assert, assertEquals, assertRejects, random, test } from "../harness.ts";
import { collect, generatedFile, memoryFile } from "./rows/memory_file.ts";

const options: ExampleOptions = {
  tokenizer: { encode: (text) => Uint32Array.from(new TextEncoder().encode(text)) },
  vocab_size: 257,
  eos_token_id: 256,
  max_length: 24,
  completion_only_loss: true,
  assistant_only_loss: true,
  encodeChat: null,
};

function sourceOf(
  files: readonly ReadableBytes[],
  { packing = true, batch = 3, length = 24 } = {},
): ExampleSource<Example> {
  return {
    rows: () => readFiles(files),
    toExample: (row) => languageModelExample(row, { ...options, max_length: length }),
    packing,
    batch,
    length,
    toBatch: (sequences) => sequenceBatch(sequences, { batch, length, pad_token_id: 0 }),
  };
}

/** Rows "#0 xxx", "#1 x" … of random lengths, some of them empty. */
function datasetOf(count: number, seed = 41): ReadableBytes {
  const next = random(seed);
  const row = (i: number) => ({ text: next() < 0.1 ? "" : `#${i} ${"x".repeat(Math.floor(next() * 12))}` });
  return memoryFile("t.jsonl", Array.from({ length: count }, (_, i) => JSON.stringify(row(i))).join("\n"));
}

const streamOf = (
  source: ExampleSource<Example>,
  { seed = 1, count = 2, resumed }: { seed?: number; count?: number; resumed?: ExampleStream<Example>["position"] } =
    {},
) => {
  const stream = new ExampleStream(source, { seed, gradient_accumulation_steps: count });
  if (resumed) stream.resume(resumed);
  return stream;
};

/** The numbers of the rows in a batch, in its order. */
function rowsIn(batches: readonly Batch[]): number[] {
  const text = batches.map(({ input_ids }) => String.fromCharCode(...input_ids)).join("");
  return [...text.matchAll(/#(\d+) /g)].map(([, number]) => Number(number));
}

for (const packing of [true, false]) {
  const how = packing ? "packed" : "one example a row";

  test(`any step gives the same batches in any order of asking, ${how}`, async () => {
    const source = sourceOf([datasetOf(60)], { packing }), straight = streamOf(source);
    const expected: Batch[][] = [], positions = [];
    for (let step = 0; step < 30; step++) {
      expected.push(await straight.batches(step));
      positions.push(straight.position);
    }
    assert(straight.position.epoch >= 2, `only ${straight.position.epoch} epochs`);
    const jumping = streamOf(source), next = random(42);
    for (let jump = 0; jump < 30; jump++) {
      const step = Math.floor(next() * 30);
      assertEquals(await jumping.batches(step), expected[step], `step ${step} after a jump`);
    }
    for (let step = 0; step < 30; step++) {
      assertEquals(await streamOf(source).batches(step), expected[step], `step ${step} in a new stream`);
      if (step > 0) {
        assertEquals(
          await streamOf(source, { resumed: positions[step - 1]! }).batches(step),
          expected[step],
          `step ${step} after a resume`,
        );
      }
    }
  });

  test(`each epoch has each row once, in an order of its own, ${how}`, async () => {
    const file = datasetOf(60), stream = streamOf(sourceOf([file], { packing, batch: 1 }), { count: 1 });
    const filled = (await collect(readFiles([file]))).flatMap(({ row }, i) => (row["text"] === "" ? [] : [i]));
    const orders = new Map<number, number[]>();
    for (let step = 0; stream.position.epoch < 3; step++) {
      const rows = rowsIn(await stream.batches(step)), { epoch } = stream.position;
      orders.set(epoch, [...orders.get(epoch) ?? [], ...rows]);
    }
    for (const epoch of [0, 1, 2]) assertEquals(orders.get(epoch)!.toSorted((a, b) => a - b), filled, `epoch ${epoch}`);
    assertEquals(new Set([0, 1, 2].map((epoch) => String(orders.get(epoch)))).size, 3);
    assert(String(orders.get(0)) !== String(filled), "the first epoch is in the file's order");
  });
}

test(
  "a step has the same sequences however it is split into micro-batches, and other ones with " +
    "another seed",
  async () => {
    const file = datasetOf(50),
      flat = (batches: readonly Batch[]) => batches.flatMap(({ input_ids }) => [...input_ids]);
    for (const step of [0, 1, 7]) {
      const whole = flat(await streamOf(sourceOf([file], { batch: 6 }), { count: 1 }).batches(step));
      assertEquals(flat(await streamOf(sourceOf([file], { batch: 2 }), { count: 3 }).batches(step)), whole);
      assert(
        String(flat(await streamOf(sourceOf([file], { batch: 6 }), { count: 1, seed: 2 }).batches(step))) !==
          String(whole),
        "the seed changes nothing",
      );
    }
  },
);

test("the position tells the epoch and its first sequence, of the rows that are not empty", async () => {
  const file = memoryFile("t.jsonl", ["#0 a", "", "#2 b", "#3 c"].map((text) => JSON.stringify({ text })).join("\n"));
  const stream = streamOf(sourceOf([file], { packing: false, batch: 1 }), { count: 1 });
  await stream.batches(0);
  assertEquals(stream.position, { epoch: 0, first_sequence: 0 });
  await stream.batches(4);
  assertEquals(stream.position, { epoch: 1, first_sequence: 3 });
});

test("a file in order of size or class is mixed beyond the buffer", async () => {
  const file = memoryFile(
    "t.jsonl",
    Array.from({ length: 5000 }, (_, i) => JSON.stringify({ text: `#${i} ` })).join("\n"),
  );
  const stream = streamOf(sourceOf([file], { packing: false, batch: 500 }), { count: 10 });
  const order = rowsIn(await stream.batches(0));
  assertEquals(order.toSorted((a, b) => a - b), Array.from({ length: 5000 }, (_, i) => i));
  order.forEach((row, place) => assert(place >= row - 1023, `row ${row} came ${row - place} places early`));
  const moved = order.reduce((sum, row, place) => sum + Math.abs(row - place), 0) / 5000;
  assert(moved > 400, `rows moved by ${moved} places only`);
});

test("memory does not grow with the file: the first step of 200 MB reads a few of them", async () => {
  const line = new TextEncoder().encode(`${JSON.stringify({ text: "#1 x" })}${" ".repeat(983)}\n`);
  const file = generatedFile(
    "t.jsonl",
    200_000 * line.length,
    (start, end) => Uint8Array.from({ length: end - start }, (_, i) => line[(start + i) % line.length]!),
  );
  const source = sourceOf([file]);
  let rows = 0;
  const counted = async function* () {
    for await (const row of source.rows()) yield (rows++, row);
  };
  const stream = streamOf({ ...source, rows: counted });
  await stream.batches(0);
  const first = rows;
  assert(first > 1024 && first < 1200, `${first} rows were read for the first step`);
  assertEquals(file.reads.length, 2);
  await stream.batches(1);
  assert(rows - first < 100, `${rows - first} rows were read for one step`);
  await stream.close();
});

test("validation: the file's order, the first batches, whole, the same each time", async () => {
  const file = datasetOf(20),
    filled = (await collect(readFiles([file]))).flatMap(({ row }, i) => (row["text"] === "" ? [] : [i]));
  const source = sourceOf([file], { packing: false }), all = await collect(exampleBatches(source, 1000));
  assertEquals(rowsIn(all), filled);
  assertEquals(all.length, Math.ceil(filled.length / 3));
  assertEquals(await collect(exampleBatches(source, 2)), all.slice(0, 2));
  const packed = await collect(exampleBatches(sourceOf([file]), 1000));
  assertEquals(rowsIn(packed).toSorted((a, b) => a - b), filled);
  const last = sequenceBatch([], { batch: 3, length: 24, pad_token_id: 0 });
  assert(
    packed.every(({ labels }) => labels.some((label) => label !== IGNORED)) &&
      last.labels.every((label) => label === IGNORED),
    "a batch has nothing to learn",
  );
});

test("files without an example, and rows that cannot be used, end in an error each time", async () => {
  const empty = sourceOf([
    memoryFile("t.jsonl", '{"text":""}\n{"prompt":"a long prompt, longer than the limit","completion":"x"}\n'),
  ]);
  const message = "got 2 rows, 1 of them empty and 1 with all of it behind max_length";
  const stream = streamOf(empty);
  for (const step of [0, 0, 3]) await assertRejects(() => stream.batches(step), message);
  await assertRejects(() => collect(exampleBatches(empty, 5)), message);

  const lines = Array.from({ length: 1500 }, (_, i) => JSON.stringify(i === 1400 ? { texts: "" } : { text: `#${i} ` }));
  const broken = streamOf(sourceOf([memoryFile("t.jsonl", lines.join("\n"))], { packing: false }));
  await broken.batches(0);
  for (let again = 0; again < 2; again++) await assertRejects(() => broken.batches(200), "row 1401 of t.jsonl");
  await broken.batches(1);
});
