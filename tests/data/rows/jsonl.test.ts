import { readRows } from "../../../src/data/rows/read_rows.ts";
import { assert, assertEquals, assertRejects, readShared, skip, test } from "../../harness.ts";
import { collect, generatedFile, memoryFile } from "./memory_file.ts";

const rowsOf = (content: string | Uint8Array) => collect(readRows(memoryFile("t.jsonl", content), "jsonl"));

test("JSONL: blank lines, \\r\\n, a byte order mark and a last line without newline", async () => {
  assertEquals(await rowsOf('\ufeff{"a":1}\r\n\r\n  \n{"a":"é\\n","b":[null]}\n{"a":3}'), [{ a: 1 }, {
    a: "é\n",
    b: [null],
  }, { a: 3 }]);
  assertEquals(await rowsOf("\n\n"), []);
});

test("JSONL: characters and newlines that fall between two pieces of the file", async () => {
  // 1 MiB is read at a time: an "é" has one byte on either side of the border, then a "\r\n".
  for (const shift of [-2, -1, 0, 1]) {
    const filler = "x".repeat(2 ** 20 - 8 + shift);
    assertEquals(
      await rowsOf(`{"a":"${filler}é"}\r\n{"a":"é"}`),
      [{ a: `${filler}é` }, { a: "é" }],
      `shifted by ${shift}`,
    );
    const row = `{"a":"${"x".repeat(2 ** 20 - 9 + shift)}"}`;
    assertEquals((await rowsOf(`${row}\r\n{"a":2}\r\n`)).length, 2);
  }
});

test("JSONL: errors name the file and the line", async () => {
  const cases = [
    ['{"a":1}\n\n{"a":\n{"a":2}\n', "t.jsonl: line 3 is not valid JSON"],
    ['{"a":1}\n[1]\n', "line 2 holds an array"],
    ['{"a":1}\nnull', "line 2 holds null"],
    ['{"a":1}\n"b"', "line 2 holds a string"],
    ['{"a":1}{"a":2}', "line 1 is not valid JSON"],
    ['{"a":1', "line 1 is not valid JSON"],
    ["", "empty file"],
  ] as const;
  for (const [text, includes] of cases) {
    assert(!(await assertRejects(() => rowsOf(text), includes)).message.includes("\n"), "more than one line");
  }
  await assertRejects(() => rowsOf(Uint8Array.of(0x50, 0x4b, 0, 3, 10, 0)), "line 1 is not valid JSON");
});

test("JSONL: rows before a broken line are there", async () => {
  const rows = readRows(memoryFile("t.jsonl", '{"a":1}\n{"a":2}\n{'), "jsonl");
  assertEquals([(await rows.next()).value, (await rows.next()).value], [{ a: 1 }, { a: 2 }]);
  await assertRejects(() => rows.next(), "line 3");
});

test("JSONL: a line without end is refused before it fills the memory", async () => {
  const file = generatedFile("t.jsonl", 2 ** 40, (start, end) => new Uint8Array(end - start).fill(0x78));
  await assertRejects(() => collect(readRows(file, "jsonl")), "line 1 has more than 16777216 characters");
  assertEquals(file.reads.length, 17);
});

test("JSONL: 200 MB are read in order, once, a megabyte at a time", async () => {
  const line = new TextEncoder().encode(`${JSON.stringify({ text: "x".repeat(9_988) })}\n`),
    size = 20_000 * line.length;
  const file = generatedFile("t.jsonl", size, (start, end) => {
    const bytes = new Uint8Array(end - start);
    for (let at = start; at < end;) {
      const from = at % line.length, part = line.subarray(from, Math.min(line.length, from + end - at));
      bytes.set(part, at - start);
      at += part.length;
    }
    return bytes;
  });
  let rows = 0, characters = 0;
  for await (const { text } of readRows(file, "jsonl")) {
    rows++;
    characters += (text as string).length;
  }
  assertEquals([rows, characters], [20_000, 20_000 * 9_988]);
  assertEquals(size, 200_000_000);
  file.reads.forEach(({ start, end }, i) =>
    assert(start === (file.reads[i - 1]?.end ?? 0) && end - start <= 2 ** 20, `read ${i}: bytes ${start} to ${end}`)
  );
  assertEquals(file.reads.at(-1)!.end, size);
});

test("JSON: an array of objects", async () => {
  const read = (text: string) => collect(readRows(memoryFile("t.json", text), "json"));
  assertEquals(await read('\ufeff[{"a":1},{"a":{"b":2}}]'), [{ a: 1 }, { a: { b: 2 } }]);
  assertEquals(await read("[]"), []);
  await assertRejects(() => read('{"a":1}'), "t.json: it holds an object, expected an array");
  await assertRejects(() => read('[{"a":1},2]'), "row 2 is a number");
  await assertRejects(() => read('[{"a":1}'), "not valid JSON");
  await assertRejects(() => read(""), "empty file");
  const large = generatedFile("t.json", 2 ** 28 + 1, () => new Uint8Array());
  await assertRejects(() => collect(readRows(large, "json")), "Convert it to JSONL");
  assertEquals(large.reads, []);
});

for (
  const [name, format, rows, keys] of [
    ["gsm8k-train.jsonl", "jsonl", 7473, ["question", "answer"]],
    ["wikisql-train.jsonl", "jsonl", 1000, ["text"]],
    ["wikisql-valid.jsonl", "jsonl", 100, ["text"]],
    ["instruction-data.json", "json", 1100, ["instruction", "input", "output"]],
  ] as const
) {
  test(`${name} is read to its end`, async () => {
    const bytes = await readShared(`data/${name}`);
    if (!bytes) skip(`the shared folder has no data/${name}`);
    const read = await collect(readRows(memoryFile(name, bytes), format));
    assertEquals(read.length, rows);
    for (const row of read) {
      assert(keys.every((key) => typeof row[key] === "string"), `a row has the keys ${Object.keys(row)}`);
    }
  });
}
