// memory_budget picks a density.

import { assert, assertEquals, assertThrows, test } from "../harness.ts";
import { withinBudget } from "../../src/recipe/budget.ts";
import { parseConfig } from "../../src/recipe/config/config.ts";
import { fitBudget, planRun } from "../../src/recipe/run.ts";
import type { Settings } from "../train/tiny.ts";

const PLANNED = { vocab_size: 256, target: "portable" } as const;
const configOf = (settings: Settings) =>
  parseConfig({
    tokenizer: "byte",
    hidden_size: 32,
    num_attention_heads: 2,
    num_key_value_heads: 2,
    intermediate_size: 64,
    ...settings,
  });
const total = (config: ReturnType<typeof configOf>): number =>
  planRun(config, PLANNED).plan.buffers.reduce((sum, { bytes }) => sum + bytes, 0);
const fitted = (settings: Settings) => fitBudget(configOf(settings), PLANNED);

test("the largest density of 64 steps that fits is taken, and the run with it does fit", () => {
  for (const optim of ["frugal", "frugal_blocks", "frugal_svd", "galore", "fira", "apollo"]) {
    const half = total(configOf({ optim, optim_args: { density: 0.5 } }));
    const { optim_args } = fitted({ optim, memory_budget: `${half}` });
    const density = optim_args.density!;
    assert(density >= 0.5, `${optim}: half fits, ${density} was taken`);
    assert(total(configOf({ optim, optim_args: { density } })) <= half, `${optim}: ${density} does not fit`);
    if (density < 1) {
      assert(
        total(configOf({ optim, optim_args: { density: density + 1 / 64 } })) > half,
        `${optim}: more than ${density} fits`,
      );
    }
  }
  assertEquals(fitted({ optim: "frugal", memory_budget: "1GB" }).optim_args.density, 1);
});

test("without a budget nothing is planned or changed", () => {
  const config = configOf({ optim: "frugal" });
  assertEquals(
    withinBudget(config, () => {
      throw new Error("planned");
    }),
    config,
  );
});

test("a budget that nothing fits, or an optimizer without a density, is refused in one line", () => {
  const refused = (settings: Settings, message: string): void => {
    const error = assertThrows(() => fitted(settings), message);
    assert(!error.message.includes("\n"), error.message);
  };
  refused(
    { optim: "frugal", memory_budget: "10kB" },
    'Cannot train within "memory_budget" 10kB: with the smallest density the run takes ',
  );
  refused({ optim: "adamw", memory_budget: "1GB" }, 'Cannot use "memory_budget" with optim "adamw"');
  refused({ optim: "badam", memory_budget: "1GB" }, "it has no density to choose");
});
