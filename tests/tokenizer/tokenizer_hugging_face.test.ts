import { BPETokenizer } from "../../src/tokenizer/bpe.ts";
import { trainBPE } from "../../src/tokenizer/bpe_train.ts";
import { HuggingFaceTokenizer } from "../../src/tokenizer/hugging_face_tokenizer.ts";
import { loadTokenizer } from "../../src/tokenizer/load_tokenizer.ts";
import { tokenizerFromFiles } from "../../src/tokenizer/tokenizer_from_files.ts";
import { ByteTokenizer, checkVocabulary, type Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { assert, assertEquals, assertThrows, readShared, skip, test } from "../harness.ts";

const FIXTURES = "fixtures/models";

async function sharedText(path: string): Promise<string> {
  const bytes = await readShared(path);
  return bytes ? new TextDecoder().decode(bytes) : skip(`the shared folder has no ${path}`);
}

/** A fixture's tokenizer, with the config of transformers 5 or that of 4. */
function loadFixture(name: string, config: string): Promise<Tokenizer> {
  return loadTokenizer((file) => readShared(`${FIXTURES}/${name}/${file === "tokenizer_config.json" ? config : file}`));
}

interface EncodeCases {
  readonly vocab_size?: number;
  readonly special_token_ids?: Readonly<Record<string, number>>;
  readonly cases: readonly {
    text: string;
    ids: number[];
    ids_with_special_tokens?: number[];
    tokens?: string[];
    decoded: string;
    decoded_skip_special?: string;
  }[];
  readonly decode_cases?: readonly { ids: number[]; decoded: string; decoded_skip_special?: string }[];
  readonly pairs?: readonly { a: string; b: string; ids: number[] }[];
}

for (const name of ["tokenizer-gpt2-style", "tokenizer-llama3-style", "tokenizer-roberta-style"]) {
  for (const config of ["tokenizer_config.json", "tokenizer_config.v4.json"]) {
    test(`${name} with ${config} has the ids and texts of transformers`, async () => {
      const expected = JSON.parse(await sharedText(`${FIXTURES}/${name}/encode_cases.json`)) as EncodeCases;
      const tokenizer = await loadFixture(name, config);
      assertEquals(tokenizer.vocab_size, expected.vocab_size);
      for (const [role, id] of Object.entries(expected.special_token_ids!)) {
        assertEquals(tokenizer.special[role.replace("_token", "") as "bos"], id, role);
      }
      assert(expected.cases.length >= 38, "cases are missing");
      for (const { text, ids, ids_with_special_tokens, tokens, decoded, decoded_skip_special } of expected.cases) {
        const label = JSON.stringify(text);
        assertEquals([...tokenizer.encode(text)], ids, label);
        assertEquals([...tokenizer.encode(text, { add_special_tokens: true })], ids_with_special_tokens, label);
        assertEquals(ids.map((id) => tokenizer.token(id)), tokens, label);
        assertEquals(ids.map((_, place) => tokenizer.token_id(tokens![place]!)), ids, label);
        assertEquals(tokenizer.decode(ids), decoded, label);
        assertEquals(tokenizer.decode(ids, { skip_special_tokens: true }), decoded_skip_special, label);
      }
      for (const { ids, decoded, decoded_skip_special } of expected.decode_cases!) {
        assertEquals(tokenizer.decode(ids), decoded);
        if (decoded_skip_special !== undefined) {
          assertEquals(tokenizer.decode(ids, { skip_special_tokens: true }), decoded_skip_special);
        }
      }
      for (const { a, b, ids } of expected.pairs ?? []) {
        assertEquals([...tokenizer.encodePair(a, b).input_ids], ids, `${a} | ${b}`);
      }
    });
  }
}

test("stories260K's tokenizer has the ids and texts of transformers, on 201 texts", async () => {
  const { cases } = JSON.parse(await sharedText(`${FIXTURES}/stories260K/encode_cases.json`)) as EncodeCases;
  assertEquals(cases.length, 201);
  for (const config of ["tokenizer_config.json", "tokenizer_config.v4.json"]) {
    const tokenizer = await loadFixture("stories260K", config);
    for (const { text, ids, decoded } of cases) {
      assertEquals([...tokenizer.encode(text, { add_special_tokens: true })], ids, JSON.stringify(text));
      assertEquals(tokenizer.decode(ids, { skip_special_tokens: true }), decoded, JSON.stringify(text));
    }
  }
});

test("a tokenizer's files are written as they were read, and load as the same tokenizer", async () => {
  for (const name of ["tokenizer-llama3-style", "stories260K"]) {
    await sharedText(`${FIXTURES}/${name}/tokenizer.json`);
    const tokenizer = await loadFixture(name, "tokenizer_config.json");
    for (const [file, text] of tokenizer.files()) {
      assert(text === await sharedText(`${FIXTURES}/${name}/${file}`), `${file} of ${name} differs`);
    }
    assertEquals([...tokenizer.files().keys()], [
      "tokenizer.json",
      "tokenizer_config.json",
      ...(name === "stories260K" ? [] : ["chat_template.jinja"]),
    ]);
    assertEquals(tokenizerFromFiles(tokenizer.files()).special, tokenizer.special);
  }
});

const SAMPLE = "the cat's hat\n\n  naïve 灯台 \ufeffx\u0085y <|end|>a<|end|> 🙂\0 ";
const own: Readonly<Record<string, () => Tokenizer>> = {
  ByteTokenizer: () => new ByteTokenizer(),
  BPETokenizer: () =>
    trainBPE("the cat sat on the mat, 灯台灯台 and the other cat's hat. ".repeat(9), 400, {
      special_tokens: ["<|end|>", "<s>"],
    }),
};

for (const [name, make] of Object.entries(own)) {
  test(
    `${name} writes a tokenizer.json that means the same to Hugging Face, and loads as a ` +
      `${name} again`,
    async () => {
      const tokenizer = make(), wrapper = new HuggingFaceTokenizer(tokenizer.files());
      const shakespeare = new TextDecoder().decode(await readShared("data/tinyshakespeare.txt") ?? undefined).slice(
        0,
        100_000,
      );
      for (const text of ["", SAMPLE, "a".repeat(500), shakespeare]) {
        const ids = tokenizer.encode(text);
        assertEquals(wrapper.encode(text), ids);
        assertEquals(wrapper.decode(ids), text);
        assertEquals(
          wrapper.decode(ids, { skip_special_tokens: true }),
          tokenizer.decode(ids, { skip_special_tokens: true }),
        );
      }
      assertEquals(wrapper.vocab_size, tokenizer.vocab_size);
      for (let id = 0; id < tokenizer.vocab_size; id++) {
        assertEquals([wrapper.token(id), wrapper.token_id(tokenizer.token(id)!)], [tokenizer.token(id), id]);
      }
      const loaded = tokenizerFromFiles(tokenizer.files());
      assertEquals(loaded.constructor.name, name);
      assertEquals(loaded.encode(SAMPLE), tokenizer.encode(SAMPLE));
      // With a template it is more than the file says.
      assert(
        tokenizerFromFiles(new Map([...tokenizer.files(), ["chat_template.jinja", "x"]])) instanceof
          HuggingFaceTokenizer,
        "the template is lost",
      );
    },
  );
}

test("a BPE file that differs in any flag from those written here is not taken for one of them", () => {
  const json = own["BPETokenizer"]!().toJSON() as Record<string, Record<string, unknown>>;
  const changes: readonly object[] = [
    { normalizer: { type: "NFC" } },
    { pre_tokenizer: { ...json["pre_tokenizer"], add_prefix_space: true } },
    { model: { ...json["model"], ignore_merges: true } },
    { post_processor: { type: "BertProcessing", cls: ["<s>", 1], sep: ["<s>", 1] } },
  ];
  const load = (value: object) => tokenizerFromFiles(new Map([["tokenizer.json", JSON.stringify(value)]]));
  assert(load(json) instanceof BPETokenizer, "the unchanged file");
  for (const change of changes) {
    assert(load({ ...json, ...change }) instanceof HuggingFaceTokenizer, JSON.stringify(change));
  }
});

/** A tokenizer with all single ASCII letters and some added tokens. */
function withAdded(...added: object[]): Tokenizer {
  const vocab = Object.fromEntries([..."abcdefghijklmnopqrstuvwxyz ▁"].map((letter, id) => [letter, id]));
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const added_tokens = added.map((token, place) => ({ ...flags, id: 28 + place, ...token }));
  return tokenizerFromFiles(
    new Map([["tokenizer.json", JSON.stringify({ added_tokens, model: { type: "BPE", vocab, merges: [] } })]]),
  );
}

test(
  "added tokens take spaces with them, stand alone, or are looked for in the normalized text, as " +
    "their flags say",
  () => {
    const tokenizer = withAdded({ content: "<l>", lstrip: true }, { content: "<r>", rstrip: true }, {
      content: "ab",
      single_word: true,
    }, { content: "<l>x" });
    assertEquals([...tokenizer.encode("a \t<l> b")], [0, 28, 26, 1]);
    assertEquals([...tokenizer.encode("a <r> \n b")], [0, 26, 29, 1]);
    assertEquals([...tokenizer.encode("ab")], [30]);
    assertEquals([...tokenizer.encode("abc ab ab")], [0, 1, 2, 26, 30, 26, 30]);
    assertEquals([...tokenizer.encode("<l>x<l>")], [31, 28]); // of two that begin here the longer
    // no decoder: tokens with spaces between
    assertEquals(tokenizer.decode([0, 28, 1], { skip_special_tokens: true }), "a b");
  },
);

test("encodeSpans() marks the tokens that have a part in a span, whatever the tokenizer puts between", async () => {
  await sharedText(`${FIXTURES}/stories260K/tokenizer.json`);
  const stories = await loadFixture("stories260K", "tokenizer_config.json"),
    gpt2 = await loadFixture("tokenizer-gpt2-style", "tokenizer_config.json");
  const marked = (tokenizer: Tokenizer, text: string, ...spans: [number, number][]) => {
    const { input_ids, mask } = tokenizer.encodeSpans(text, spans.map(([start, end]) => ({ start, end })));
    assertEquals(input_ids, tokenizer.encode(text));
    return [...input_ids].filter((_, place) => mask[place]).map((id) => tokenizer.token(id));
  };
  assertEquals(marked(gpt2, "Hello, world!", [5, 6], [12, 13]), [",", "!"]);
  assertEquals(marked(gpt2, "Hello, world!", [4, 8]), ["lo", ",", "Ġw"]);
  assertEquals(marked(gpt2, "x<|im_end|>y", [11, 12]), ["y"]);
  assertEquals(marked(gpt2, "x<|im_end|>y", [3, 4]), ["<|im_end|>"]);
  assertEquals(marked(gpt2, "a🙂b", [1, 3]).length, gpt2.encode("🙂").length);
  assertEquals(marked(stories, "a the 🙂", [2, 5]), ["▁the"]);
  assertEquals(marked(stories, "a the 🙂", [6, 8]), ["<0xF0>", "<0x9F>", "<0x99>", "<0x82>"]);
  assertEquals(marked(own["BPETokenizer"]!(), "<s>the", [3, 6]), ["the"]);
  assertEquals(marked(new ByteTokenizer(), "aéb", [1, 2]), ["Ã", "©"]);
});

test("encodeSpans() refuses where the normalizer or the pre-tokenizer drops characters", () => {
  const base = new ByteTokenizer().toJSON();
  const of = (more: object) => tokenizerFromFiles(new Map([["tokenizer.json", JSON.stringify({ ...base, ...more })]]));
  const spans = [{ start: 2, end: 3 }];
  assertThrows(
    () => of({ normalizer: { type: "Strip", strip_left: true, strip_right: true } }).encodeSpans(" a bc", spans),
    "Cannot tell which tokens",
  );
  assertThrows(
    () =>
      of({ pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, { type: "ByteLevel" }] } })
        .encodeSpans("a bc d", spans),
    "Cannot tell which tokens",
  );
  assertEquals([...of({ normalizer: { type: "NFC" } }).encodeSpans("e\u0301 b", [{ start: 3, end: 4 }]).mask], [
    0,
    0,
    0,
    1,
  ]);
});

const readOf = (files: Readonly<Record<string, unknown>>) => (name: string): Promise<Uint8Array | null> =>
  Promise.resolve(
    name in files
      ? new TextEncoder().encode(typeof files[name] === "string" ? files[name] : JSON.stringify(files[name]))
      : null,
  );

async function rejection(files: Readonly<Record<string, unknown>>): Promise<Error> {
  try {
    await loadTokenizer(readOf(files));
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

test("special tokens come from the config, from special_tokens_map.json, or from generation_config.json", async () => {
  const json = own["BPETokenizer"]!().toJSON();
  const special = async (files: object) => (await loadTokenizer(readOf({ "tokenizer.json": json, ...files }))).special;
  assertEquals(await special({}), {});
  assertEquals(
    await special({
      "tokenizer_config.json": {
        eos_token: "<|end|>",
        pad_token: null,
        bos_token: { content: "<s>" },
        unk_token: "nowhere",
      },
    }),
    { bos: 1, eos: 0 },
  );
  assertEquals(await special({ "special_tokens_map.json": { pad_token: { content: "<s>" } } }), { pad: 1 });
  assertEquals(await special({ "generation_config.json": { eos_token_id: [0, 1], bos_token_id: 1 } }), {
    eos: 0,
    bos: 1,
  });
  // Named in the config only, a token of the vocabulary becomes special.
  const named = await loadTokenizer(readOf({ "tokenizer.json": json, "tokenizer_config.json": { eos_token: "the" } }));
  assertEquals(named.decode(named.encode("a the"), { skip_special_tokens: true }), "a ");
});

test("vocab.json and merges.txt alone make GPT-2's tokenizer", async () => {
  const vocab = await sharedText("data/gpt2-vocab.json"), merges = await sharedText("data/gpt2-merges.txt");
  const tokenizer = await loadTokenizer(readOf({ "vocab.json": vocab, "merges.txt": merges }));
  assertEquals([...tokenizer.encode("Hello, world! I'm<|endoftext|>\n\n  ok")], [
    15496,
    11,
    995,
    0,
    314,
    1101,
    50256,
    628,
    220,
    12876,
  ]);
  assertEquals(tokenizer.vocab_size, 50257);
  assertEquals([...tokenizer.files().keys()], ["tokenizer.json"]);
  assert(
    (await rejection({
      "vocab.json": vocab,
      "merges.txt": merges,
      "tokenizer_config.json": { tokenizer_class: "Qwen2Tokenizer" },
    })).message.includes("not for Qwen2Tokenizer"),
    "Qwen's",
  );
});

test("a folder without a usable tokenizer says what to do", async () => {
  const message = async (files: Readonly<Record<string, unknown>>) => (await rejection(files)).message;
  assert((await message({})).includes("expected tokenizer.json in the model's folder, got none"), "none");
  assert(
    (await message({ "tokenizer.model": "x" })).includes("only SentencePiece's tokenizer.model. Make one in Python"),
    "SentencePiece",
  );
  assert((await message({ "vocab.txt": "x" })).includes("only BERT's vocab.txt"), "BERT");
  for (const text of ["{", "[]", "null", ""]) {
    assert((await rejection({ "tokenizer.json": text })) instanceof TypeError, text);
  }
  assert((await message({ "tokenizer.json": { model: null } })).includes("its model is missing"), "no model");
  assert(
    (await message({
      "tokenizer.json": { ...own["BPETokenizer"]!().toJSON(), added_tokens: [{ id: 9, content: "the" }] },
    })).includes('its token "the" has the ids 9 and'),
    "two ids",
  );
});

test("checkVocabulary() refuses a tokenizer with more ids than the model has rows", () => {
  checkVocabulary(new ByteTokenizer(), 256);
  checkVocabulary(new ByteTokenizer(), 300);
  assert(
    assertThrows(() => checkVocabulary(new ByteTokenizer(), 200), "its largest id is 255") instanceof RangeError,
    "not a RangeError",
  );
});
