// Hooks run at their steps, in their order, and tell when moments began anew. No GPU.

import { lastRestart, runAfter, runBefore, type StepHook } from "../../src/train/step_hook.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import { assertEquals, test } from "../harness.ts";

/** Hooks that write down their calls, and a trainer that takes steps and nothing else. */
function record(...hooks: readonly Omit<StepHook, "before" | "after">[]) {
  const calls: string[] = [], trainer = { steps: 0, restartMoments: () => calls.push(`moments ${trainer.steps}`) };
  const recorded = hooks.map((hook, i): StepHook => ({
    ...hook,
    before: ({ steps }) => void calls.push(`${i} before ${steps}`),
    // A promise is waited for: the next call is not written before this one.
    after: async ({ steps }) => {
      await Promise.resolve();
      calls.push(`${i} after ${steps}`);
    },
  }));
  const step = async (): Promise<string[]> => {
    await runBefore(recorded, trainer as unknown as Trainer);
    trainer.steps++;
    await runAfter(recorded, trainer as unknown as Trainer);
    return calls.splice(0);
  };
  return { recorded, step };
}

test("hooks are called before and after the multiples of their steps, in order, and not before the first", async () => {
  const { step } = record({ every: 2 }, { every: 3 });
  assertEquals(await step(), []);
  assertEquals(await step(), ["0 after 2"]);
  assertEquals(await step(), ["0 before 2", "1 after 3"]);
  assertEquals(await step(), ["1 before 3", "0 after 4"]);
  assertEquals(await step(), ["0 before 4"]);
  assertEquals(await step(), ["0 after 6", "1 after 6"]);
  assertEquals(await step(), ["0 before 6", "1 before 6"]);
});

test("only a hook that changes weights clears the moments, after its work and before the next hook's", async () => {
  const { step } = record({ every: 1, restartsMoments: true }, { every: 1 });
  assertEquals(await step(), ["0 after 1", "1 after 1"]);
  assertEquals(await step(), ["0 before 1", "moments 1", "1 before 1", "0 after 2", "1 after 2"]);
});

test("lastRestart() is the last multiple of a hook that clears moments, not 0 and not of other hooks", () => {
  const restarting: StepHook[] = [{ every: 3, restartsMoments: true }, { every: 5, restartsMoments: true }, {
    every: 1,
  }];
  const expected = [-Infinity, -Infinity, -Infinity, 3, 3, 5, 6, 6, 6, 9, 10];
  assertEquals(expected.map((_, step) => lastRestart(restarting, step)), expected);
  assertEquals(lastRestart([{ every: 1 }], 9), -Infinity);
});
