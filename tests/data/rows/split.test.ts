import { fingerprint } from "../../../src/data/rows/fingerprint.ts";
import { formatOf, readFiles } from "../../../src/data/rows/read_rows.ts";
import { heldOut, splitFiles } from "../../../src/data/rows/split.ts";
import { assert, assertEquals, assertRejects, assertThrows, test } from "../../harness.ts";
import { collect, generatedFile, memoryFile } from "./memory_file.ts";

test("formatOf() goes by the ending", () => {
  const rows = {
    "a.jsonl": "jsonl",
    "a.ndjson": "jsonl",
    "b/A.JSON": "json",
    "a.csv": "csv",
    "a.tsv": "tsv",
    "a.b.parquet": "parquet",
  };
  for (const [name, format] of Object.entries(rows)) assertEquals(formatOf(name), format, name);
  for (const name of ["a.txt", "README", "csv", "a.jsonl.gz", "a.constructor"]) {
    assertEquals(formatOf(name), "text", name);
  }
});

test("splitFiles() knows the names of Hugging Face and MLX", () => {
  assertEquals(
    splitFiles(["valid.jsonl", "README.md", "train.jsonl", "test.jsonl", "train_old.jsonl", "config.json"]),
    {
      train: ["train.jsonl"],
      validation: ["valid.jsonl"],
      test: ["test.jsonl"],
    },
  );
  const shards = [
    "train-00002-of-00003",
    "validation-00000-of-00001-0a1b2c",
    "train-00000-of-00003",
    "train-00001-of-00003",
  ];
  assertEquals(splitFiles(shards.map((name) => `data/${name}.parquet`)), {
    train: [
      "data/train-00000-of-00003.parquet",
      "data/train-00001-of-00003.parquet",
      "data/train-00002-of-00003.parquet",
    ],
    validation: ["data/validation-00000-of-00001-0a1b2c.parquet"],
    test: [],
  });
  assertEquals(splitFiles(["train_10.csv", "train_9.csv", "dev.csv"]), {
    train: ["train_9.csv", "train_10.csv"],
    validation: ["dev.csv"],
    test: [],
  });
  assertEquals(splitFiles(["train.txt"]).train, ["train.txt"]);
});

test("splitFiles() says what it misses", () => {
  assertThrows(() => splitFiles([]), "got no file");
  assertThrows(
    () => splitFiles(["valid.jsonl", "training.jsonl"]),
    "expected train.jsonl, .json, .csv, .tsv, .parquet or .txt, got valid.jsonl, training.jsonl",
  );
  assertThrows(() => splitFiles(["train.jsonl", "train.csv"]), "do not belong together");
  assertThrows(
    () => splitFiles(["train-00000-of-00002.parquet"]),
    "expected 2 parts like train-00000-of-00002.parquet, got 1",
  );
});

test("readFiles() numbers the rows of each file", async () => {
  const files = [memoryFile("a.jsonl", '\n{"x":1}\n{"x":2}\n'), memoryFile("b.csv", "x\n3\n")];
  assertEquals(await collect(readFiles(files)), [
    { row: { x: 1 }, file: "a.jsonl", number: 1 },
    { row: { x: 2 }, file: "a.jsonl", number: 2 },
    { row: { x: "3" }, file: "b.csv", number: 1 },
  ]);
  await assertRejects(
    () => collect(readFiles([memoryFile("a.xlsx", "PK")])),
    "expected a name that ends in .jsonl, .ndjson, .json, .csv, .tsv, .parquet",
  );
});

async function* counting(count: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) yield i;
}

test("heldOut() cuts any dataset in two, the share is kept, and the seed chooses", async () => {
  for (const validation_split of [0.5, 0.1, 0.05]) {
    const part = (part: "train" | "validation", seed: number) =>
      collect(heldOut(counting(1000), { part, validation_split, seed }));
    const train = await part("train", 1), validation = await part("validation", 1);
    assertEquals([...train, ...validation].sort((a, b) => a - b), await collect(counting(1000)));
    assertEquals(validation.length, 1000 * validation_split);
    assert(JSON.stringify(validation) !== JSON.stringify(await part("validation", 2)), "two seeds chose the same rows");
    // Rows in a pattern (every second one of a class) must not all fall on one side.
    const odd = validation.filter((i) => i % 2 === 1).length / validation.length;
    assert(odd > 0.3 && odd < 0.7, `${odd} of the chosen rows are odd`);
  }
  for (const validation_split of [0, 0.6, -1, NaN]) {
    await assertRejects(
      () => collect(heldOut(counting(1), { part: "train", validation_split, seed: 0 })),
      `got ${validation_split}`,
    );
  }
});

test("fingerprint() changes with name, size, beginning and end, and reads no more than the ends", async () => {
  const text = "x".repeat(200_000), of = (name: string, content: string) => fingerprint([memoryFile(name, content)]);
  const original = await of("a.jsonl", text);
  assert(/^[0-9a-f]{64}$/.test(original), original);
  assertEquals(await of("folder/a.jsonl", text), original);
  const others = [
    await of("b.jsonl", text),
    await of("a.jsonl", `${text}x`),
    await of("a.jsonl", `y${text.slice(1)}`),
    await of("a.jsonl", `${text.slice(1)}y`),
  ];
  others.push(await fingerprint([memoryFile("a.jsonl", text), memoryFile("a.jsonl", text)]), await of("a.jsonl", ""));
  assertEquals(new Set([original, ...others]).size, 7);
  const large = generatedFile("a.jsonl", 2 ** 40, (start, end) => new Uint8Array(end - start));
  await fingerprint([large]);
  assertEquals(large.reads.reduce((sum, { start, end }) => sum + end - start, 0), 2 ** 17);
});
