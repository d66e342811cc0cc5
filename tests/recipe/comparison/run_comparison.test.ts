// A comparison in a page is the comparison of the command line, without its files.

import { assert, assertEquals, assertRejects, test } from "../../harness.ts";
import { checkXml } from "../../report/xml.ts";
import { TEXT, TINY } from "../../train/tiny.ts";
import { describeComparison, rankMethods, type RunResult } from "../../../src/recipe/comparison/comparison_results.ts";
import { nameComparison, parseComparison } from "../../../src/recipe/comparison/settings.ts";
import { comparisonSvg } from "../../../src/report/comparison_chart.ts";
import { prepareComparison, runComparison } from "../../../src/recipe/comparison/run_comparison.ts";
import { testGpu } from "../../test_gpu.ts";

const parse = (settings: object) => parseComparison(nameComparison({ ...TINY, ...settings }, () => {}));

test("methods are run one after another, each result as train() alone gives it, and drawn", async () => {
  const gpu = await testGpu();
  const comparison = parse({
    seeds: [1, 2],
    eval_steps: 3,
    methods: [{ optim: "adamw" }, { name: "half", optim: "frugal", optim_args: { density: 0.5 } }, {
      name: "wild",
      optim: "sgd",
      learning_rate: 1e30,
      max_grad_norm: 0,
    }],
  });
  const results: RunResult[] = [];
  for await (const result of runComparison(gpu, await prepareComparison(comparison, TEXT, gpu, Infinity), results)) {
    results.push(result);
  }
  assertEquals(results.map(({ method, seed }) => `${method} ${seed}`), [
    "adamw 1",
    "adamw 2",
    "half 1",
    "half 2",
    "wild 1",
  ]);
  const ranked = rankMethods(comparison, results);
  assertEquals(ranked.at(-1)!.method, "wild");
  assert(ranked.at(-1)!.eval_loss === null && results[4]!.problem !== null, "a loss that is not finite is a result");
  for (const { eval_loss } of ranked.slice(0, -1)) assert(eval_loss! > 3 && eval_loss! < 6, `${eval_loss}`);
  const bytes = Object.fromEntries(results.map(({ method, planned_bytes }) => [method, planned_bytes.state]));
  assert(bytes["half"]! < bytes["adamw"]! && bytes["half"]! > 0, JSON.stringify(bytes));
  const svg = comparisonSvg({ title: "a < b", subtitle: describeComparison(comparison, results), methods: ranked });
  checkXml(svg);
  for (const name of ["adamw", "half", "wild", "a &lt; b"]) assert(svg.includes(name), `the picture has no ${name}`);
  const again: RunResult[] = results.slice(0, 2);
  for await (const result of runComparison(gpu, await prepareComparison(comparison, TEXT, gpu, Infinity), again)) {
    again.push(result);
  }
  assertEquals(
    again.map(({ eval_loss }) => eval_loss),
    results.map(({ eval_loss }) => eval_loss),
    "gone on with, it does what is left, to the same bits",
  );
});

test("a method that does not fit is named before anything runs", async () => {
  const gpu = await testGpu();
  const refused = (settings: object, message: string) =>
    assertRejects(() => prepareComparison(parse(settings), TEXT, gpu, Infinity), message);
  await refused(
    { methods: [{ optim: "adamw" }, { name: "wide", optim: "galore", optim_args: { rank: 99 } }] },
    'Method "wide"',
  );
  await refused({
    methods: [{ name: "odd", optim: "frugal", optim_args: { inactive_update_rule: "fira", split: "blocks" } }],
  }, 'Method "odd"');
});
