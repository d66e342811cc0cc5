import { pickToken, sampleText } from "../../src/train/sample.ts";
import { assert, assertEquals, test } from "../harness.ts";
import { trainTiny } from "./tiny.ts";

/** Where `random` takes 1000 evenly spread values, how often each token is picked. */
function shares(logits: readonly number[], temperature: number, top_k: number): number[] {
  const counts = logits.map(() => 0);
  for (let i = 0; i < 1000; i++) {
    counts[pickToken(Float32Array.from(logits), { temperature, top_k }, (i + 0.5) / 1000)]!++;
  }
  return counts;
}

const LOGITS = [0.5, 0.2, 0.3].map(Math.log);

test("temperature 0 and top_k 1 take the likeliest token whatever the draw; of equals, the first", () => {
  for (const options of [{ temperature: 0, top_k: 0 }, { temperature: 0, top_k: 5 }, { temperature: 2, top_k: 1 }]) {
    for (const random of [0, 0.5, 1 - 2 ** -53]) {
      assertEquals(pickToken(Float32Array.of(-1, 3, 2, 3), options, random), 1);
      assertEquals(pickToken(Float32Array.of(7), options, random), 0);
    }
  }
});

test("a token is drawn as often as softmax says", () => {
  assertEquals(shares(LOGITS, 1, 0), [500, 200, 300]);
  // Shares 0.25, 0.04, 0.09 of 0.38.
  assertEquals(shares(LOGITS, 0.5, 0), [658, 105, 237]);
});

test("top_k leaves only the likeliest, however many there are", () => {
  assertEquals(shares(LOGITS, 1, 2), [625, 0, 375]);
  assertEquals(shares(LOGITS, 1, 3), shares(LOGITS, 1, 0));
  assertEquals(shares(LOGITS, 1, 1000), shares(LOGITS, 1, 0));
});

test("logits of any size give a token", () => {
  assertEquals(shares([1e38, -1e38, 0], 1, 0), [1000, 0, 0]);
  assertEquals(shares([-Infinity, 0, -Infinity], 1, 0), [0, 1000, 0]);
  assertEquals(shares([0, 1], 1e-6, 0), [0, 1000]);
  assertEquals(shares([0, 1], 1e30, 0), [500, 500]);
});

test("a model's text is a function of weights, prompt, seed and settings", async () => {
  await trainTiny({ max_steps: 4 }, undefined, async (trainer, { tokenizer, programs }) => {
    const sample = (settings: object = {}): Promise<string> =>
      sampleText(trainer, programs.generate!, tokenizer, {
        prompt: "On day",
        max_new_tokens: 12,
        temperature: 1,
        top_k: 0,
        seed: 3,
        max_length: 16,
        ...settings,
      });
    const text = await sample();
    assert(text.startsWith("On day"), text);
    assertEquals(await sample(), text);
    assert(await sample({ seed: 4 }) !== text, "another seed gave the same text");
    const greedy = await sample({ temperature: 0 });
    assertEquals(await sample({ temperature: 0, seed: 4 }), greedy);
    assertEquals(await sample({ top_k: 1 }), greedy);
    assertEquals(await sample({ max_new_tokens: 0 }), "On day");
    const long = "the cat sat on the mat and saw two birds";
    assert((await sample({ prompt: long })).startsWith(long), "a prompt longer than a sequence is cut");
    assert(typeof await sample({ prompt: "" }) === "string", "no text without a prompt");
  });
});
