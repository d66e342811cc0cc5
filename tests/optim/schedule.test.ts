import { assertClose, assertEquals, test } from "../harness.ts";
import {
  learningRateAt,
  type LearningRateSchedule,
  LR_SCHEDULER_TYPES,
  packSchedule,
} from "../../src/optim/step/schedule.ts";

const base: LearningRateSchedule = {
  lr_scheduler_type: "constant",
  learning_rate: 2,
  min_learning_rate: 0.5,
  warmup_steps: 0,
  max_steps: 100,
  num_cycles: 1,
};
const at = (steps: readonly number[], changes: Partial<LearningRateSchedule>): number[] =>
  steps.map((step) => learningRateAt(step, { ...base, ...changes }));
const close = (name: string, actual: readonly number[], expected: readonly number[]): void =>
  assertClose(actual, expected, { name, relative: 1e-12 });

test("every schedule begins at the peak, ends at its floor and stays there", () => {
  assertEquals(at([0, 50, 100, 1000], {}), [2, 2, 2, 2]);
  close("linear", at([0, 50, 75, 100, 1000], { lr_scheduler_type: "linear" }), [2, 1.25, 0.875, 0.5, 0.5]);
  close("cosine", at([0, 25, 50, 100, 1000], { lr_scheduler_type: "cosine" }), [
    2,
    0.5 + 1.5 * (0.5 + Math.SQRT1_2 / 2),
    1.25,
    0.5,
    0.5,
  ]);
  close("restarts", at([0, 25, 49, 50, 75, 100, 1000], { lr_scheduler_type: "cosine_with_restarts", num_cycles: 2 }), [
    2,
    1.25,
    0.5 + 0.75 * (1 + Math.cos(Math.PI * 0.98)),
    2,
    1.25,
    0.5,
    0.5,
  ]);
});

test("warm-up is linear, in steps or as a share of them, and the rest is what the schedule has left", () => {
  for (const lr_scheduler_type of LR_SCHEDULER_TYPES) {
    close(`${lr_scheduler_type}, 4 steps`, at([0, 1, 2, 3, 4], { lr_scheduler_type, warmup_steps: 4 }), [
      0.5,
      1,
      1.5,
      2,
      2,
    ]);
    close(`${lr_scheduler_type}, 0.1 of 100`, at([0, 4, 9, 10], { lr_scheduler_type, warmup_steps: 0.1 }), [
      0.2,
      1,
      2,
      2,
    ]);
  }
  close("linear after it", at([20, 60, 100], { lr_scheduler_type: "linear", warmup_steps: 20 }), [2, 1.25, 0.5]);
  close("a share that rounds down to nothing", at([0], { warmup_steps: 0.001 }), [2]);
  close("one step", at([0, 1], { warmup_steps: 1 }), [2, 2]);
});

test("degenerate lengths give finite rates", () => {
  for (const lr_scheduler_type of LR_SCHEDULER_TYPES) {
    for (
      const changes of [{ max_steps: 0 }, { max_steps: 1 }, { max_steps: 5, warmup_steps: 5 }, {
        max_steps: 5,
        warmup_steps: 9,
      }]
    ) {
      for (const rate of at([0, 1, 4, 5, 20], { ...changes, lr_scheduler_type })) {
        assertEquals(
          Number.isFinite(rate) && rate >= 0 && rate <= 2,
          true,
          `${lr_scheduler_type} ${JSON.stringify(changes)}: ${rate}`,
        );
      }
    }
  }
});

test("packSchedule() puts two floats and an integer where the shader reads them", () => {
  const words = packSchedule({ learning_rate: 0.5, loss_scale: -1, metrics_row: 0x01020304 });
  assertEquals([...new Float32Array(words.buffer).slice(0, 2)], [0.5, -1]);
  assertEquals([...words.slice(2)], [0x01020304]);
});
