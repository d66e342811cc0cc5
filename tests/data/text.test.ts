import { IGNORED } from "../../src/data/ignored.ts";
import { embeddingSegments, normalizeText, sampleBatch, splitTokens, validationBatches } from "../../src/data/text.ts";
import { assert, assertEquals, assertThrows, random, test } from "../harness.ts";

const counting = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, i) => i);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("normalizeText() strips the byte order mark and turns \\r\\n into \\n", () => {
  assertEquals(normalizeText(bytes("\ufeffone\r\ntwo\r\n\r\nthree\rfour\n")), "one\ntwo\n\nthree\rfour\n");
  assertEquals(normalizeText(Uint8Array.of(0x41, 0xff, 0x42)), "A\ufffdB");
});

test("normalizeText() refuses empty, blank and binary files in one line", () => {
  const cases = [["", "empty file"], [" \r\n\t", "white space"], ["\ufeff", "white space"], [
    "PK\u0000\u0003",
    "NUL at byte 2",
  ]] as const;
  for (const [text, includes] of cases) {
    assert(!assertThrows(() => normalizeText(bytes(text)), includes).message.includes("\n"), "more than one line");
  }
});

test("splitTokens() puts the end aside for validation", () => {
  for (const ids of [counting(100), Uint16Array.from(counting(100))]) {
    const { train, validation } = splitTokens(ids, 0.2, 10);
    assertEquals([...train, ...validation], [...ids]);
    assertEquals(validation.length, 20);
    assert(train.buffer === ids.buffer && validation.buffer === ids.buffer, "the tokens were copied");
  }
});

test("splitTokens() leaves each part at least one sequence and its next token", () => {
  const sizes = (count: number, fraction: number): number[] => {
    const { train, validation } = splitTokens(counting(count), fraction, 10);
    return [train.length, validation.length];
  };
  assertEquals(sizes(22, 0.1), [11, 11]);
  assertEquals(sizes(50, 0.1), [39, 11]);
  assertEquals(sizes(50, 0.95), [11, 39]);
});

test("splitTokens() says how many tokens there are, how many it needs and what to do", () => {
  const error = assertThrows(
    () => splitTokens(counting(21), 0.1, 10),
    "expected at least 22 (11 for training and 11 for validation), got 21",
  );
  assert(error instanceof RangeError && error.message.includes("a longer file or a smaller max_length"), error.message);
  for (const fraction of [0, 1, -0.1, NaN]) {
    assertThrows(() => splitTokens(counting(100), fraction, 10), `got ${fraction}`);
  }
});

test("sampleBatch() gives rows that follow one another in the text, and the next tokens as labels", () => {
  const ids = counting(1000);
  const { input_ids, labels } = sampleBatch(ids, { seed: 1, step: 2, batch: 16, length: 8 });
  assertEquals([input_ids.length, labels.length], [128, 128]);
  for (let i = 0; i < 128; i++) {
    assertEquals(labels[i], input_ids[i]! + 1);
    if (i % 8 > 0) assertEquals(input_ids[i], input_ids[i - 1]! + 1);
  }
});

test("sampleBatch() depends on seed, step and row alone, whatever was drawn before", () => {
  const ids = Uint16Array.from(counting(5000));
  const draw = (seed: number, step: number, batch = 4) => sampleBatch(ids, { seed, step, batch, length: 32 });
  const forward = [0, 1, 2, 3].map((step) => draw(7, step));
  const backward = [3, 2, 1, 0].map((step) => draw(7, step)).reverse();
  assertEquals(backward, forward);
  assertEquals(draw(7, 1, 2).input_ids, draw(7, 1, 4).input_ids.subarray(0, 64).slice());
  const first = (seed: number, step: number): number => draw(seed, step).input_ids[0]!;
  assert(new Set([first(7, 0), first(7, 1), first(8, 0), first(8, 1)]).size === 4, "seed or step makes no difference");
});

test("sampleBatch() reaches the first and the last place, and refuses a text without any", () => {
  const starts = new Set<number>();
  for (let step = 0; step < 100; step++) {
    for (const id of sampleBatch(counting(6), { seed: 0, step, batch: 4, length: 3 }).input_ids) {
      starts.add(id);
    }
  }
  assertEquals([...starts].sort(), [0, 1, 2, 3, 4]); // 5 can only be a label
  assertEquals(sampleBatch(counting(4), { seed: 0, step: 0, batch: 1, length: 3 }).labels, Uint32Array.of(1, 2, 3));
  assertThrows(
    () => sampleBatch(counting(3), { seed: 0, step: 0, batch: 1, length: 3 }),
    "expected at least 4 tokens, got 3",
  );
});

test("validationBatches() makes each token but the first a label once", () => {
  for (const count of [2, 3, 12, 13, 14, 24, 25, 26, 100]) {
    const batches = [...validationBatches(counting(count), { batch: 3, length: 4, limit: 1000 })];
    assertEquals(batches.length, Math.ceil((count - 1) / 12));
    const labels = batches.flatMap((batch) => [...batch.labels]),
      inputs = batches.flatMap((batch) => [...batch.input_ids]);
    const predicted = labels.filter((label) => label !== IGNORED);
    assertEquals(predicted, [...counting(count)].slice(1));
    labels.forEach((label, i) => assertEquals(inputs[i], label === IGNORED ? 0 : label - 1));
  }
});

test("validationBatches() stops at its limit and is the same each time", () => {
  const make = (limit: number) => [...validationBatches(counting(1000), { batch: 2, length: 5, limit })];
  assertEquals(make(3).length, 3);
  assertEquals(make(3), make(100).slice(0, 3));
  assertThrows(() => [...validationBatches(counting(1), { batch: 1, length: 4, limit: 1 })], "at least 2 tokens");
});

/** The specification: a list of positions for each id. */
function naiveSegments(input_ids: Uint32Array) {
  const positions = new Map<number, number[]>();
  input_ids.forEach((id, position) => positions.set(id, [...(positions.get(id) ?? []), position]));
  const ids = [...positions.keys()].sort((a, b) => a - b), count = input_ids.length;
  const offsets = ids.map((_, segment) =>
    ids.slice(0, segment).reduce((sum, id) => sum + positions.get(id)!.length, 0)
  );
  const pad = (values: number[], length: number, value: number) =>
    Uint32Array.from({ length }, (_, i) => values[i] ?? value);
  return {
    order: Uint32Array.from(ids.flatMap((id) => positions.get(id)!)),
    segment_ids: pad(ids, count, IGNORED),
    segment_offsets: pad(offsets, count + 1, count),
  };
}

test("embeddingSegments() agrees with a list of positions for each id", () => {
  const next = random(5);
  for (const count of [0, 1, 2, 7, 64, 255]) {
    for (const vocabulary of [1, 2, 50, 262_144, 0xffffffff]) {
      const input_ids = Uint32Array.from({ length: count }, () => Math.floor(next() * vocabulary));
      const { order, segment_ids, segment_offsets } = embeddingSegments(input_ids);
      assertEquals({ order, segment_ids, segment_offsets }, naiveSegments(input_ids), `${count} ids of ${vocabulary}`);
    }
  }
});

test("embeddingSegments() fills the arrays it is given and leaves nothing of an earlier batch in them", () => {
  const into = embeddingSegments(counting(8));
  const again = embeddingSegments(Uint32Array.of(3, 1, 3, 3, 1, 1, 1, 9), into);
  assert(again === into, "other arrays were returned");
  assertEquals(again.order, Uint32Array.of(1, 4, 5, 6, 0, 2, 3, 7));
  assertEquals(again.segment_ids, Uint32Array.of(1, 3, 9, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED));
  assertEquals(again.segment_offsets, Uint32Array.of(0, 4, 7, 8, 8, 8, 8, 8, 8));
  assertThrows(() => embeddingSegments(counting(9), into), "Cannot group 9 positions");
});
