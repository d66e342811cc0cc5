import { BPETokenizer } from "../../src/tokenizer/bpe.ts";
import { trainBPE } from "../../src/tokenizer/bpe_train.ts";
import { tokenizerFromFiles } from "../../src/tokenizer/tokenizer_from_files.ts";
import { ByteTokenizer, type Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { assert, assertEquals, assertThrows, random, readShared, skip, test } from "../harness.ts";

/**
 * Spaces of several kinds, a byte order mark, emoji made of parts, marks, right-to-left letters, a text like a token.
 */
const ODD_TEXTS = [
  "",
  " ",
  "\n\n  x  \t\r\n",
  "\ufeffstarts with a byte order mark",
  "I'm sure they'll say it's 12345 o'clock... isn't it?!",
  "na\u00efve Stra\u00dfe \u0130stanbul \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
  "e\u0301\u0302\u0303 \u0e40\u0e02\u0e49\u0e32 \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
  "\u{1f469}\u200d\u{1f469}\u200d\u{1f467}\u{1f1e9}\u{1f1ea}\u{1f44d}\u{1f3fd}\u{10ffff}",
  "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u3000\u3000\u306a\u306b\u300c\uff11\uff12\u300d",
  "a\u0085b\u00a0c\u2028d\u200be\u0000f\u001fg",
  "<|endoftext|> <|end <|endoftext|><|endoftext|>",
  "a".repeat(3000),
];

async function sharedText(path: string): Promise<string> {
  const bytes = await readShared(path);
  return bytes ? new TextDecoder().decode(bytes) : skip(`shared/${path} is not here`);
}

/** Text of random Unicode scalar values, one in two of them ASCII. */
function randomText(seed: number, length: number): string {
  const next = random(seed);
  return Array.from({ length }, () => {
    const code = Math.floor(next() * (next() < 0.5 ? 128 : 0x110000));
    return String.fromCodePoint(code >= 0xd800 && code < 0xe000 ? code - 0x800 : code);
  }).join("");
}

const someText = "the cat sat on the mat, and the other cat sat on the hat. I'm the cat's hat! ".repeat(3);
const tokenizers: Record<string, () => Tokenizer> = {
  ByteTokenizer: () => new ByteTokenizer(),
  BPETokenizer: () => trainBPE(someText, 320, { special_tokens: ["<|endoftext|>"] }),
};

for (const [name, make] of Object.entries(tokenizers)) {
  test(`${name} gives back any text exactly`, () => {
    const tokenizer = make();
    const texts = [...ODD_TEXTS, someText, ...[1, 2, 3].map((seed) => randomText(seed, 500))];
    for (const text of texts) {
      const ids = tokenizer.encode(text);
      assertEquals(tokenizer.decode(ids), text);
      assert(
        ids.every((id) => id < tokenizer.vocab_size),
        `an id of ${JSON.stringify(text)} is outside the vocabulary`,
      );
    }
  });

  test(`${name} decodes UTF-8 that is cut short to U+FFFD, and a lone surrogate as U+FFFD`, () => {
    const tokenizer = make();
    const ids = tokenizer.encode("ab\u20ac");
    assertEquals(tokenizer.decode(ids.subarray(0, ids.length - 1)), "ab\ufffd");
    assertEquals(tokenizer.decode(tokenizer.encode("x\ud800y")), "x\ufffdy");
  });

  test(`${name} refuses ids outside its vocabulary`, () => {
    const tokenizer = make();
    for (const id of [tokenizer.vocab_size, -1, 0.5, NaN]) {
      const error = assertThrows(() => tokenizer.decode([0, id]), `from 0 to ${tokenizer.vocab_size - 1}`);
      assert(error instanceof RangeError, "not a RangeError");
    }
  });

  test(`${name} comes back from its files as it was`, () => {
    const tokenizer = make();
    const restored = tokenizerFromFiles(tokenizer.files());
    assertEquals(restored.vocab_size, tokenizer.vocab_size);
    for (const text of [...ODD_TEXTS, someText]) assertEquals(restored.encode(text), tokenizer.encode(text));
  });
}

test("ByteTokenizer's ids are the bytes of UTF-8", () => {
  assertEquals(new ByteTokenizer().encode("A\u20ac"), Uint32Array.of(0x41, 0xe2, 0x82, 0xac));
});

test("BPETokenizer says which merge or special token it cannot use", () => {
  const merges = (...lines: string[]) => () => new BPETokenizer(lines);
  assertThrows(
    merges("a b", "ab"),
    'BPE merge 1: expected two known tokens with a space between that give a new one, got "ab"',
  );
  assertThrows(merges("ab c"), "BPE merge 0");
  assertThrows(merges("a b", "a b"), "BPE merge 1");
  assertThrows(merges("a b c"), "BPE merge 0");
  assertThrows(() => new BPETokenizer(["a b"], ["ab"]), "one of them is also a token of the text");
});

test("trainBPE() learns the 243 merges and the vocabulary of the reference", async () => {
  const text = await sharedText("data/bpe-corpus.en");
  const merges = (await sharedText("data/bpe-reference-merges.txt")).trimEnd().split("\n");
  const vocabulary = JSON.parse(await sharedText("data/bpe-reference-vocab.json")) as Record<string, number>;
  const tokenizer = trainBPE(text, 500, { special_tokens: ["<|endoftext|>"] });
  assertEquals(merges.length, 243);
  assertEquals(tokenizer.merges, merges);
  assertEquals(Object.fromEntries(tokenizer.tokens.map((token, id) => [token, id])), vocabulary);
});

test("BPETokenizer with GPT-2's merges has GPT-2's ids", async () => {
  const lines = (await sharedText("data/gpt2-merges.txt")).trimEnd().split("\n").filter((line) =>
    !line.startsWith("#version")
  );
  const vocabulary = JSON.parse(await sharedText("data/gpt2-vocab.json")) as Record<string, number>;
  delete vocabulary["<|endoftext|>"]; // has the last id there
  const tokenizer = new BPETokenizer(lines);
  assertEquals(Object.fromEntries(tokenizer.tokens.map((token, id) => [token, id])), vocabulary);
  // Known from OpenAI's encoder: an exclamation, a contraction, and a run of white space that leaves one to the next
  // word.
  assertEquals(tokenizer.encode("Hello, world! I'm"), Uint32Array.of(15496, 11, 995, 0, 314, 1101));
  assertEquals(tokenizer.encode("\n\n  ok"), Uint32Array.of(628, 220, 12876));
});

test("a BPE tokenizer trained on tinyshakespeare gives it back and makes it half as long", async () => {
  const text = await sharedText("data/tinyshakespeare.txt");
  const tokenizer = trainBPE(text, 1024);
  const ids = tokenizer.encode(text);
  assertEquals(tokenizer.vocab_size, 1024);
  assert(tokenizer.decode(ids) === text, "the text that came back differs");
  assert(ids.length < text.length / 2, `${ids.length} tokens for ${text.length} characters`);
});

/** Counts all pairs anew for each merge: the specification. */
function naiveMerges(words: readonly string[], count: number): string[] {
  const split = words.map((word) => Array.from(word));
  return Array.from({ length: count }, () => {
    const counts = new Map<string, number>();
    for (const word of split) {
      for (let i = 1; i < word.length; i++) {
        counts.set(`${word[i - 1]} ${word[i]}`, (counts.get(`${word[i - 1]} ${word[i]}`) ?? 0) + 1);
      }
    }
    const [best] = [...counts].sort(([a, m], [b, n]) => n - m || compare(b.split(" "), a.split(" ")))[0]!;
    const [left, right] = best.split(" ");
    for (const word of split) {
      for (let i = 1; i < word.length; i++) {
        if (word[i - 1] === left && word[i] === right) word.splice(i - 1, 2, left! + right!);
      }
    }
    return best;
  });
}

function compare(a: readonly string[], b: readonly string[]): number {
  const i = a.findIndex((item, index) => item !== b[index]);
  return i < 0 ? 0 : a[i]! < b[i]! ? -1 : 1;
}

test("trainBPE() agrees with counting all pairs anew, on words full of ties and of repeated letters", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const next = random(seed);
    const words = Array.from(
      { length: 40 },
      () => Array.from({ length: 2 + Math.floor(next() * 9) }, () => "abc"[Math.floor(next() * 3)]).join(""),
    );
    const text = words.join("\n"); // the newlines are words of their own and have no pairs
    assertEquals(trainBPE(text, 256 + 25).merges, naiveMerges(words, 25), `seed ${seed}`);
  }
});

test("trainBPE() takes the greatest by bytes of two pairs as frequent", () => {
  assertEquals(trainBPE("ab cd", 257).merges, ["c d"]); // " c" and "cd" stand once, as "ab" does
  assertEquals(trainBPE("zz\n\u00e9\u00e9", 257).merges, ["\u00c3 \u00a9"]); // bytes c3 a9, twice
  assertEquals(trainBPE("z!\n\u0080", 257).merges, ["\u00c2 \u0122"]); // byte c2 > "z"; byte 80 is visible as U+0122
});

test("trainBPE() never merges across a special token, a word or a space behind a word", () => {
  const special_tokens = ["<s>", "<s><s>"];
  const tokenizer = trainBPE("ab<s>ab<s><s>ab cd".repeat(9), 300, { special_tokens });
  assertEquals(tokenizer.tokens.slice(0, 2), special_tokens);
  assert(
    !tokenizer.tokens.slice(2).some((token) => /[<>]|b.*c/.test(token) && token.length > 1),
    "a merge crosses a boundary",
  );
  assertEquals(tokenizer.encode("<s><s><s>"), Uint32Array.of(1, 0));
});

test("trainBPE() stops early when the text has no pair left, and refuses what cannot be", () => {
  assertEquals(trainBPE("aa b", 1000).vocab_size, 258);
  assertEquals(trainBPE("", 1000).vocab_size, 256);
  assertThrows(() => trainBPE("text", 255), "from 256 on");
  assertThrows(() => trainBPE("text", 256, { special_tokens: ["<s>"] }), "from 257 on (1 special tokens");
  assertThrows(() => trainBPE("text", 300.5), "got 300.5");
  assertThrows(() => trainBPE("text", 300, { special_tokens: ["<s>", "<s>"] }), "distinct texts");
  assertThrows(() => trainBPE("text", 300, { special_tokens: [""] }), "distinct texts");
});
