import {
  classificationExample,
  type ClassificationOptions,
  collectLabels,
} from "../../../src/data/examples/classification.ts";
import { readFiles } from "../../../src/data/rows/read_rows.ts";
import type { Row } from "../../../src/data/rows/row_source.ts";
import { assert, assertEquals, assertRejects, assertThrows, test } from "../../harness.ts";
import { memoryFile, numbered } from "../rows/memory_file.ts";

const CLS = 1, SEP = 2;
const encode: ClassificationOptions["encode"] = (text, pair) => {
  const ids = (part: string) => [...part].map((character) => character.charCodeAt(0));
  const first = [CLS, ...ids(text), SEP], second = pair === null ? [] : [...ids(pair), SEP];
  return {
    input_ids: Uint32Array.from([...first, ...second]),
    token_type_ids: Uint32Array.from([...first.map(() => 0), ...second.map(() => 1)]),
  };
};
const usual: ClassificationOptions = { encode, max_length: 100, sep_token_id: SEP, labels: ["no", "yes", "maybe"] };
const make = (row: Row, options: Partial<ClassificationOptions> = {}) =>
  classificationExample(numbered(row, 4), { ...usual, ...options });

test("texts and pairs by the names that datasets use", () => {
  const single = { input_ids: Uint32Array.of(CLS, 97, SEP), token_type_ids: Uint32Array.of(0, 0, 0), label: 1 };
  for (const key of ["text", "sentence"]) assertEquals(make({ [key]: "a", label: 1, idx: 0 }), single, key);
  const pair = {
    input_ids: Uint32Array.of(CLS, 97, SEP, 98, SEP),
    token_type_ids: Uint32Array.of(0, 0, 0, 1, 1),
    label: 1,
  };
  for (
    const [first, second] of [["text", "text_pair"], ["sentence1", "sentence2"], ["premise", "hypothesis"]] as const
  ) {
    assertEquals(make({ [first]: "a", [second]: "b", label: "yes" }), pair, first);
  }
  const plain = make({ text: "a", label: 0 }, { encode: () => ({ input_ids: Uint32Array.of(5) }) });
  assertEquals(plain, { input_ids: Uint32Array.of(5), label: 0 });
});

test("a long text keeps its beginning and the token that closes it", () => {
  const cut = make({ text: "abcdef", label: 0 }, { max_length: 4 });
  assertEquals(cut, { input_ids: Uint32Array.of(CLS, 97, 98, SEP), token_type_ids: new Uint32Array(4), label: 0 });
  const open = make({ text: "abcdef", label: 0 }, { max_length: 4, sep_token_id: null });
  assertEquals(typeof open === "string" ? open : open.input_ids, Uint32Array.of(CLS, 97, 98, 99));
});

test("labels are numbers, numbers as text, names or booleans", () => {
  const label = (value: unknown, labels = usual.labels) => {
    const example = make({ text: "a", label: value }, { labels });
    return typeof example === "string" ? example : example.label;
  };
  assertEquals(["maybe", 2, "2", true, false].map((value) => label(value)), [2, 2, 2, 1, 0]);
  assertEquals([label("5", ["5", "3"]), label("3", ["5", "3"]), label(1, ["5", "3"])], [0, 1, 1]);
  assertEquals(make({ text: "", label: 0 }), "empty");
  assertEquals(make({ text: null, label: 0 }), "empty");
});

test("rows that cannot be used are refused in one line that names the row", () => {
  const cases: [Row, string][] = [
    [{ text: "a" }, "row 4 of t.jsonl: expected {text, label} or {sentence, label} or {text, text_pair, label} or "],
    [
      { text: "a" },
      "or {sentence1, sentence2, label} or {premise, hypothesis, label}, got the keys text. Rename its columns",
    ],
    [{ sentence1: "a", label: 1 }, "got the keys sentence1, label"],
    [{ text: 5, label: 1 }, 'expected "text" to be a string, got a number'],
    [{ text: "a", label: 3 }, "expected a label of no, yes, maybe or its number, got 3"],
    [{ text: "a", label: "perhaps" }, 'got "perhaps"'],
    [{ text: "a", label: -1 }, 'expected "label" to be an integer from 0 or a name, got -1'],
    [{ text: "a", label: 0.5 }, "got 0.5"],
    [{ text: "a", label: null }, "got null"],
    [{ text: "a", label: "" }, "got an empty text"],
    [{ text: "a", label: [1] }, "got an array"],
  ];
  for (const [row, includes] of cases) {
    assert(!assertThrows(() => make(row), includes).message.includes("\n"), "more than one line");
  }
});

test("collectLabels() keeps the order of first appearance", async () => {
  const labels = (text: string, name = "t.csv") => collectLabels(readFiles([memoryFile(name, text)]));
  assertEquals(await labels("text,label\na,neg\nb,pos\nc,neg\nd,neutral\n"), ["neg", "pos", "neutral"]);
  assertEquals(await labels("text,label\na,2\nb,0\n"), ["LABEL_0", "LABEL_1", "LABEL_2"]);
  assertEquals(await labels('{"label":false}\n{"label":true}\n', "t.jsonl"), ["LABEL_0", "LABEL_1"]);
  await assertRejects(
    () => labels("text,label\na,neg\nb,1\n"),
    "row 2 of t.csv: expected all labels to be numbers or all to be names, got 1",
  );
  await assertRejects(() => labels('{"label":3.5}\n', "t.jsonl"), "got 3.5");
  await assertRejects(
    () => labels(`text,label\n${Array.from({ length: 1001 }, (_, i) => `a,n${i}`).join("\n")}`),
    "at most 1000 classes",
  );
  await assertRejects(() => labels('{"label":4000000}\n', "t.jsonl"), "at most 1000 classes");
});
