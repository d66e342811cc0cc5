import { readRows } from "../../../src/data/rows/read_rows.ts";
import { assert, assertEquals, assertRejects, random, test } from "../../harness.ts";
import { collect, generatedFile, memoryFile } from "./memory_file.ts";

const rowsOf = (text: string, format: "csv" | "tsv" = "csv") =>
  collect(readRows(memoryFile(`t.${format}`, text), format));

test("CSV: header, quotes, newlines and delimiters in quotes, blank lines, \\r\\n, no last newline", async () => {
  assertEquals(await rowsOf('\ufefftext,label\r\n"one, ""two""\r\nthree",1\r\n\r\n four ,\r\n"" ,"x"'), [
    { text: 'one, "two"\nthree', label: "1" },
    { text: " four ", label: "" },
    { text: "", label: "x" },
  ]);
  assertEquals(await rowsOf('a\tb\n"x\ty"\t1,5\n', "tsv"), [{ a: "x\ty", b: "1,5" }]);
  assertEquals(await rowsOf("a,b\n"), []);
  assertEquals(await rowsOf("a\nb\n\nc"), [{ a: "b" }, { a: "c" }]);
});

test("CSV: a column named __proto__ is a column", async () => {
  const [row] = await rowsOf("__proto__,a\nx,y\n");
  assertEquals(Object.entries(row!), [["__proto__", "x"], ["a", "y"]]);
});

test("CSV: errors name the file and the row", async () => {
  const cases = [
    ["a,b\n1,2\n1,2,3\n", "t.csv: row 2 has 3 fields, expected 2 (a, b)"],
    ["a,b\n1\n", "row 1 has 1 fields"],
    ['a,b\n1,2\n"x"y,2\n3,4\n', "row 2 has wrong quotes"],
    ['a,b\n1,2\n1,"x\n3,4\n', "row 2 has wrong quotes"],
    ['a,b\n1,2\n"x,3\n"4,5"\n', "row 2 has wrong quotes"],
    ['a,"b\n1,2', "the header has wrong quotes"],
    ["a,a\n1,2", 'two columns named "a"'],
    ["a,\n1,2", "a column without a name"],
    ["", "empty file"],
  ] as const;
  for (const [text, includes] of cases) {
    assert(!(await assertRejects(() => rowsOf(text), includes)).message.includes("\n"), "more than one line");
  }
});

test("CSV: any fields survive, wherever the pieces of the file are cut", async () => {
  const next = random(11), alphabet = ["a", '"', ",", "\n", " ", "é", "𝄞", "x".repeat(700)];
  const field = () =>
    Array.from({ length: Math.floor(next() * 6) }, () => alphabet[Math.floor(next() * alphabet.length)]!).join("");
  // 1 MiB is read at a time, so this makes a few pieces.
  const rows = Array.from({ length: 2500 }, () => ({ a: field(), b: field(), c: "end" }));
  const quote = (text: string) => (/[",\n]/.test(text) || next() < 0.5 ? `"${text.replaceAll('"', '""')}"` : text);
  const text = ["a,b,c", ...rows.map(({ a, b, c }) => [a, b, c].map(quote).join(","))].join(
    next() < 0.5 ? "\n" : "\r\n",
  );
  assert(text.length > 2 ** 20, `only ${text.length} characters`);
  assertEquals(await rowsOf(text), rows);
});

test("CSV: a quote that is never closed is refused before it fills the memory", async () => {
  const start = new TextEncoder().encode('a,b\n1,"'), line = new TextEncoder().encode("some text,\n");
  const file = generatedFile(
    "t.csv",
    2 ** 40,
    (from, to) => Uint8Array.from({ length: to - from }, (_, i) => start[from + i] ?? line[i % line.length]!),
  );
  await assertRejects(() => collect(readRows(file, "csv")), "row 1 has more than 16777216 characters");
  assertEquals(file.reads.length, 17);
});
