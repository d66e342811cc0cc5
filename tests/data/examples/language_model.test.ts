import { IGNORED } from "../../../src/data/ignored.ts";
import { type ExampleOptions, languageModelExample, type Message } from "../../../src/data/examples/language_model.ts";
import type { Example } from "../../../src/data/examples/example.ts";
import { readFiles } from "../../../src/data/rows/read_rows.ts";
import type { Row } from "../../../src/data/rows/row_source.ts";
import { assert, assertEquals, assertThrows, readShared, skip, test } from "../../harness.ts";
import { collect, memoryFile, numbered } from "../rows/memory_file.ts";

const EOS = 1000, BOS = 1001;
const bytes = (text: string): number[] => [...new TextEncoder().encode(text)];
const encode = (text: string) => Uint32Array.from(bytes(text));

/** A template whose turns are "<role:content>", the assistant's content and ">" being its own. */
function encodeChat(messages: readonly Message[]): { input_ids: number[]; assistant_mask: boolean[] } {
  const parts = messages.flatMap((
    { role, content },
  ) => [{ text: `<${role}:`, own: false }, { text: `${content}>`, own: role === "assistant" }]);
  return {
    input_ids: parts.flatMap(({ text }) => bytes(text)),
    assistant_mask: parts.flatMap(({ text, own }) => bytes(text).map(() => own)),
  };
}

const usual: ExampleOptions = {
  tokenizer: { encode },
  vocab_size: BOS + 1,
  eos_token_id: EOS,
  max_length: 1000,
  completion_only_loss: true,
  assistant_only_loss: true,
  encodeChat,
};
const make = (row: Row, options: Partial<ExampleOptions> = {}) =>
  languageModelExample(numbered(row, 7), { ...usual, ...options });

/** Inputs and labels as text: "\$" for the end, "." for what is not learned. */
function shown(example: ReturnType<typeof make>): string[] {
  if (typeof example === "string") return [example];
  const text = (ids: Uint32Array) =>
    [...ids].map((id) => (id === IGNORED ? "." : id === EOS ? "$" : id === BOS ? "^" : String.fromCharCode(id))).join(
      "",
    );
  return [text(example.input_ids), text(example.labels)];
}

test("{text}: everything is learned, the end too", () => {
  assertEquals(shown(make({ text: "abc" })), ["abc", "bc$"]);
  assertEquals(shown(make({ text: "abc" }, { eos_token_id: null })), ["ab", "bc"]);
  assertEquals(shown(make({ text: "abc", note: 5 }, { max_length: 2 })), ["ab", "bc"]);
  assertEquals(shown(make({ text: "abc" }, { max_length: 3 })), ["abc", "bc$"]);
});

test("{prompt, completion}: only the completion is learned, unless asked", () => {
  assertEquals(shown(make({ prompt: "abc", completion: "de" })), ["abcde", "..de$"]);
  assertEquals(shown(make({ prompt: "abc", completion: "de" }, { completion_only_loss: false })), ["abcde", "bcde$"]);
  assertEquals(shown(make({ prompt: "", completion: "de" })), ["de", "e$"]);
  assertEquals(shown(make({ prompt: "abc", completion: "def" }, { max_length: 3 })), ["abc", "..d"]);
  assertEquals(make({ prompt: "abc", completion: "def" }, { max_length: 2 }), "cut off");
});

test("{prompt, completion}: special tokens that the tokenizer adds are met once", () => {
  const tokenizer = { encode: (text: string) => Uint32Array.from([BOS, ...bytes(text), EOS]) };
  assertEquals(shown(make({ prompt: "ab", completion: "cd" }, { tokenizer })), ["^abcd", "..cd$"]);
});

test("{prompt, completion}: a token across the border belongs to the completion", () => {
  // "b" and "c" are one token when they meet.
  const tokenizer = { encode: (text: string) => Uint32Array.from(bytes(text.replaceAll("bc", "Z"))) };
  assertEquals(shown(make({ prompt: "ab", completion: "cd" }, { tokenizer })), ["aZd", "Zd$"]);
});

test("{prompt, completion} as messages: only what the assistant says behind the prompt", () => {
  const prompt = [{ role: "user", content: "a" }, { role: "assistant", content: "b" }, { role: "user", content: "c" }],
    completion = [{ role: "assistant", content: "d" }];
  const text = "<user:a><assistant:b><user:c><assistant:d>";
  const [inputs, labels] = shown(make({ prompt, completion }));
  assertEquals([inputs, labels], [text.slice(0, -1), `${".".repeat(text.length - 3)}d>`]);
  assertEquals(shown(make({ prompt, completion }, { completion_only_loss: false }))[1], text.slice(1));
  assertEquals(make({ prompt, completion: [] }), "empty");
});

test("{messages}: the assistant's tokens, or all", () => {
  const messages = [{ role: "user", content: "ab" }, { role: "assistant", content: "c" }, {
    role: "user",
    content: "d",
  }, { role: "assistant", content: "e" }];
  const text = "<user:ab><assistant:c><user:d><assistant:e>";
  const learned = [...text].map((
    _,
    at,
  ) => (text.indexOf("c>") === at || text.indexOf("c>") + 1 === at || at >= text.length - 2 ? text[at]! : ".")).join(
    "",
  );
  assertEquals(shown(make({ messages })), [text.slice(0, -1), learned.slice(1)]);
  assertEquals(shown(make({ messages }, { assistant_only_loss: false }))[1], text.slice(1));
  assertEquals(make({ messages }, { max_length: 10 }), "cut off");
  assertEquals(make({ messages: messages.slice(0, 1) }), "empty");
});

test("{instruction, input, output}: headings, then the output is learned", () => {
  const [inputs, labels] = shown(make({ instruction: "Add.", input: "1 2", output: "3", text: "not this" }));
  assertEquals(inputs, "### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n3");
  assertEquals(labels, `${".".repeat(inputs!.length - 2)}3$`);
  assertEquals(
    shown(make({ instruction: "Say.", input: "", output: "x" }))[0],
    "### Instruction:\nSay.\n\n### Response:\nx",
  );
  assertEquals(shown(make({ instruction: "Say.", output: "x" }))[0], "### Instruction:\nSay.\n\n### Response:\nx");
});

test("rows with nothing to learn are skipped", () => {
  const rows = [
    { text: "" },
    { text: " \n" },
    { text: null },
    { prompt: "a", completion: "" },
    { prompt: "a", completion: null },
    { messages: [] },
    { instruction: "a", output: "" },
  ];
  for (const row of rows) assertEquals(make(row), "empty", JSON.stringify(row));
  assertEquals(make({ text: "a" }, { eos_token_id: null }), "empty");
});

test("rows of another shape or type are refused in one line that names the row", () => {
  const cases: [Row, string][] = [
    [
      { question: "a", answer: "b" },
      "row 7 of t.jsonl: expected {text} or {prompt, completion} or {messages} or {instruction, input, output} or " +
      "{input_ids}, got the keys question, answer",
    ],
    [{}, "got no keys"],
    [{ prompt: "a" }, "got the keys prompt"],
    [{ text: 5 }, 'row 7 of t.jsonl: expected "text" to be a string, got a number'],
    [{ text: ["a"] }, "got an array"],
    [{ prompt: 1, completion: "b" }, 'expected "prompt" to be a string, got a number'],
    [{ prompt: "a", completion: {} }, 'expected "completion" to be a string, got an object'],
    [
      { prompt: [{ role: "user", content: "a" }], completion: "b" },
      'expected "completion" to be a list of {role, content} with texts, got a string',
    ],
    [{ messages: "a" }, 'expected "messages" to be a list'],
    [{ messages: null }, "got null"],
    [{ messages: [{ role: "user", content: "a" }, { role: "user" }] }, "got undefined as content of message 2"],
    [{ messages: [null] }, "got undefined as role of message 1"],
    [{ input_ids: "1 2" }, 'expected "input_ids" to be a list of whole numbers from 0, got a string'],
    [{ input_ids: [1, -1] }, 'expected "input_ids" to be a list'],
    [{ input_ids: [1, BOS + 1] }, "its input_ids have 1002, the vocabulary ends at 1001"],
    [{ input_ids: [1, 2], labels: [1] }, "expected as many labels as input_ids, 2, got 1"],
  ];
  for (const [row, includes] of cases) {
    assert(!assertThrows(() => make(row), includes).message.includes("\n"), "more than one line");
  }
  const messages = [{ role: "user", content: "a" }],
    refuse = () => {
      throw new RangeError("the template wants a system message");
    };
  assertThrows(() => make({ messages }, { encodeChat: null }), "the model has no chat template");
  assertThrows(
    () => make({ messages }, { encodeChat: refuse }),
    "row 7 of t.jsonl: the template wants a system message",
  );
});

test("{input_ids, labels}: ids as they are, and -100 where nothing is learned", () => {
  assertEquals(shown(make({ input_ids: bytes("abcd") })), ["abc", "bcd"]);
  assertEquals(shown(make({ input_ids: bytes("abcd"), labels: [-100, -100, 99, 100] })), ["abc", ".cd"]);
});

for (const name of ["instruction-data.json", "wikisql-train.jsonl"]) {
  test(`${name}: each row gives an example`, async () => {
    const content = await readShared(`data/${name}`);
    if (!content) skip(`the shared folder has no data/${name}`);
    const rows = await collect(readFiles([memoryFile(name, content)]));
    const examples = rows.map((row) => languageModelExample(row, { ...usual, max_length: 4096 }));
    const good = examples.filter((example): example is Example => typeof example !== "string");
    assertEquals(good.length, rows.length);
    good.forEach(({ input_ids, labels }, i) => {
      assertEquals(labels.at(-1), EOS);
      // A label is the next input, wherever there is one.
      labels.forEach((label, at) =>
        assert(label === IGNORED || at + 1 === labels.length || label === input_ids[at + 1], `row ${i}, position ${at}`)
      );
      const text = String(rows[i]!.row["output"] ?? rows[i]!.row["text"]);
      const learned = labels.filter((label) => label !== IGNORED).length;
      assertEquals(learned, bytes(text).length + ("output" in rows[i]!.row ? 1 : 0), `row ${i}`);
    });
  });
}
