import { assertClose, assertEquals, test } from "../harness.ts";
import { recoveringRate } from "../../src/optim/step/lr_recovery.ts";

const falling = (step: number): number => 1000 - step;

test("recoveringRate(): ten steps from a thousandth to all of what the schedule has when they are over", () => {
  const steps = [...Array(10).keys()], rates = steps.map((since) => recoveringRate(200 + since, 200, falling));
  // Doubles: the last digits of a sum and two products.
  assertClose(rates, steps.map((since) => 790 * (0.001 + 0.111 * since)), { name: "rates", relative: 1e-12 });
  assertEquals([rates[0]!, rates[9]!].map((rate) => Math.round(rate * 1e9) / 1e9), [0.79, 790]);
});

test("recoveringRate(): the schedule's own before any reset and from the tenth step on", () => {
  for (const step of [0, 5, 210, 211, 399]) assertEquals(recoveringRate(step, -Infinity, falling), falling(step));
  for (const step of [210, 211, 399]) assertEquals(recoveringRate(step, 200, falling), falling(step));
});
