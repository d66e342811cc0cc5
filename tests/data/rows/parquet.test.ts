import { readRows } from "../../../src/data/rows/read_rows.ts";
import { assert, assertEquals, assertRejects, random, test } from "../../harness.ts";
import { collect, memoryFile } from "./memory_file.ts";
import { type ParquetColumn, writeParquet } from "./parquet_writer.ts";

const rowsOf = (bytes: Uint8Array) => collect(readRows(memoryFile("t.parquet", bytes), "parquet"));
const group = (from: number, to: number): ParquetColumn[] => {
  const places = Array.from({ length: to - from }, (_, i) => from + i);
  return [
    { name: "text", type: "string", values: places.map((i) => `row ${i} é`) },
    { name: "label", type: "int64", values: places.map((i) => BigInt(i - 2)) },
    { name: "note", type: "string", optional: true, values: places.map((i) => (i % 3 === 0 ? null : `n${i}`)) },
    { name: "score", type: "double", values: places.map((i) => i / 4) },
  ];
};
const expected = (count: number) =>
  Array.from(
    { length: count },
    (_, i) => ({ text: `row ${i} é`, label: i - 2, note: i % 3 === 0 ? null : `n${i}`, score: i / 4 }),
  );

test("Parquet: texts, 64-bit integers as numbers, missing values, several row groups, Snappy", async () => {
  for (const codec of ["UNCOMPRESSED", "SNAPPY"] as const) {
    assertEquals(await rowsOf(writeParquet([group(0, 5), group(5, 6), group(6, 20)], codec)), expected(20), codec);
  }
});

test("Parquet: integers that no double holds stay BigInt", async () => {
  const values = [2n ** 53n - 1n, 2n ** 53n + 1n, -(2n ** 63n)];
  assertEquals((await rowsOf(writeParquet([[{ name: "n", type: "int64", values }]]))).map(({ n }) => n), [
    2 ** 53 - 1,
    values[1],
    values[2],
  ]);
});

test("Parquet: one row group is read at a time", async () => {
  const wide = (
    from: number,
  ): ParquetColumn[] => [{
    name: "text",
    type: "string",
    values: [from, from + 1].map((i) => `${i}${"x".repeat(350_000)}`),
  }];
  const file = memoryFile("t.parquet", writeParquet([wide(0), wide(2), wide(4)]));
  const rows = readRows(file, "parquet");
  await rows.next();
  const footer = file.size - 2 ** 19,
    read = file.reads.filter(({ start }) => start < footer).reduce((most, { end }) => Math.max(most, end), 0);
  assert(read < 0.5 * file.size, `the first row needed bytes up to ${read} of ${file.size}`);
  assertEquals((await collect(rows)).length, 5);
});

test("Parquet: other compressions are named", async () => {
  await assertRejects(
    () => rowsOf(writeParquet([group(0, 3)], "GZIP")),
    "t.parquet: column text is compressed with GZIP, expected SNAPPY or none",
  );
});

test("Parquet: a file cut short anywhere is refused in one line", async () => {
  const whole = writeParquet([group(0, 3), group(3, 6)]);
  for (let length = 0; length < whole.length; length++) {
    const error = await assertRejects(() => rowsOf(whole.slice(0, length)), "Cannot read the rows of t.parquet");
    assert(!error.message.includes("\n"), "more than one line");
  }
  await assertRejects(() => rowsOf(new TextEncoder().encode('{"a":1}\n{"a":2}\n')), "no whole Parquet file");
});

test("Parquet: damaged bytes give an error of one line or rows, never a crash", async () => {
  const whole = writeParquet([group(0, 3), group(3, 6)], "SNAPPY"), next = random(3);
  let refused = 0;
  for (let round = 0; round < 2000; round++) {
    const damaged = whole.slice();
    for (let count = 0; count < 3; count++) damaged[Math.floor(next() * damaged.length)] = Math.floor(next() * 256);
    try {
      await rowsOf(damaged);
    } catch (error) {
      refused++;
      assert(
        error instanceof RangeError && error.message.startsWith("Cannot read the rows of t.parquet") &&
          !error.message.includes("\n"),
        `${error}`,
      );
    }
  }
  assert(refused > 1000, `only ${refused} of 2000 damaged files were refused`);
});
