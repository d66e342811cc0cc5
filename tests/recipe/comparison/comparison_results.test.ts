import { OPTIMIZERS } from "../../../src/optim/presets.ts";
import {
  countRuns,
  describeComparison,
  nextRun,
  rankMethods,
  type RunResult,
} from "../../../src/recipe/comparison/comparison_results.ts";
import { type Comparison, nameComparison, parseComparison } from "../../../src/recipe/comparison/settings.ts";
import { ConfigError } from "../../../src/recipe/config/config.ts";
import { assert, assertClose, assertEquals, assertThrows, test } from "../../harness.ts";
import { type Settings, TINY } from "../../train/tiny.ts";

const parse = (settings: Settings): Comparison => parseComparison(nameComparison({ ...TINY, ...settings }, () => {}));
const BYTES = { frozen: 0, trainable: 8, gradient: 8, state: 4, activation: 2, input: 1, output: 1, scratch: 0 };

function resultOf(method: string, entry: string, seed: number, eval_loss: number | null): RunResult {
  const curve = eval_loss === null ? [] : [{ step: 6, loss: eval_loss }];
  return {
    method,
    entry,
    seed,
    learning_rate: 1,
    eval_loss,
    problem: eval_loss === null ? "NaN" : null,
    curve,
    tokens_per_second: 100 * seed,
    planned_bytes: BYTES,
    parameters: 6448,
    adapter: "none",
    seconds: 1,
  };
}

/**
 * Does all runs; each gets the loss that `lossOf` gives it. Returns "method/entry/seed" in their order, and the
 * results.
 */
function follow(
  comparison: Comparison,
  lossOf: (method: string, entry: string, seed: number) => number | null,
): { order: string[]; counts: number[]; results: RunResult[] } {
  const order: string[] = [], counts: number[] = [], results: RunResult[] = [];
  for (let next = nextRun(comparison, results); next; next = nextRun(comparison, results)) {
    const { method: { name }, entry: { label }, seed } = next;
    counts.push(countRuns(comparison, results));
    order.push(`${name}/${label}/${seed}`);
    results.push(resultOf(name, label, seed, lossOf(name, label, seed)));
    assert(results.length < 100, "the comparison does not end");
  }
  return { order, counts, results };
}

test("without methods every preset is compared, with its own learning rate", () => {
  const { methods, seeds } = parse({});
  assertEquals(methods.map(({ name }) => name), [...OPTIMIZERS]);
  assertEquals(
    methods.map(({ sweep }) => sweep.map(({ label, config }) => [label, config.optim, config.learning_rate])),
    OPTIMIZERS.map((optim) => [["", optim, null]]),
  );
  assertEquals(seeds, [42]);
  assertEquals(parse({ optims: "sgd, adamw" }).methods.map(({ sweep }) => sweep[0]!.config.optim), ["sgd", "adamw"]);
  assertEquals(parse({ seeds: "3,4" }).seeds, [3, 4]);
  assertEquals(parse({ seeds: 3 }).seeds, [3]);
});

test("settings of a sweep lie over those of the method, these over the base, optim_args key by key", () => {
  const { methods } = parse({
    weight_decay: 0.2,
    optim_args: { nesterov: true },
    sweep: [{ lr: 0.5 }, { learning_rate: 0.25, name: "slow" }],
    methods: [
      { name: "a", optim: "sgd", optim_args: "momentum=0.5", learning_rate: 9 },
      { optim: "sign_sgd", weight_decay: 0, sweep: [{ optim_args: { momentum: 0.1 }, max_grad_norm: 2 }] },
      { name: "c", sweep: [] },
    ],
  });
  const seen = methods.map((
    { name, sweep },
  ) => [
    name,
    sweep.map(({ label, config: { optim, learning_rate, weight_decay, optim_args, max_grad_norm } }) => ({
      label,
      optim,
      learning_rate,
      weight_decay,
      optim_args,
      max_grad_norm,
    })),
  ]);
  const a = { optim: "sgd", weight_decay: 0.2, optim_args: { momentum: 0.5, nesterov: true }, max_grad_norm: 1 };
  assertEquals(seen[0], ["a", [{ ...a, label: "lr 0.5", learning_rate: 0.5 }, {
    ...a,
    label: "slow",
    learning_rate: 0.25,
  }]]);
  assertEquals(
    methods[1]!.sweep.map((
      { label, config: { weight_decay, optim_args, max_grad_norm } },
    ) => [methods[1]!.name, label, weight_decay, optim_args.momentum, optim_args.nesterov, max_grad_norm]),
    [["sign_sgd", "momentum 0.1, max_grad_norm 2", 0, 0.1, true, 2]],
  );
  assertEquals(methods[2]!.sweep.map(({ label, config }) => [label, config.optim, config.learning_rate]), [[
    "",
    "adamw",
    null,
  ]]);
});

test("the settings of a comparison are the same comparison again", () => {
  const first = parse({
    seeds: [1, 2],
    title: "t",
    optim_args: { momentum: 0.3 },
    sweep: [{ lr: 0.5 }, { lr: 1 }],
    methods: [{ optim: "sgd" }, { name: "b", optim: "adamw", sweep: [] }],
  });
  const again = parseComparison(nameComparison(JSON.parse(JSON.stringify(first.settings)) as Settings, () => {}));
  assertEquals(again, first);
  assertEquals(Object.hasOwn(first.settings, "sweep"), false);
});

test("no run of a comparison samples before its end", () => {
  for (const { sweep } of parse({ sample_steps: 1, sample_tokens: 64 }).methods) {
    assertEquals([sweep[0]!.config.sample_steps > sweep[0]!.config.max_steps, sweep[0]!.config.sample_tokens], [
      true,
      1,
    ]);
  }
});

test("what is wrong is told in one line, with the method", () => {
  const cases: readonly (readonly [Settings, string])[] = [
    [{ replicate: "all" }, 'unknown setting "replicate": did you mean "replicates"?'],
    [{ max_stepz: 1 }, 'did you mean "max_steps"?'],
    [{ max_steps: -1 }, 'Cannot use "max_steps": must be a whole number above 0, got -1'],
    [{ replicates: "some" }, 'Cannot use "replicates": must be "all" or "best", got "some"'],
    [{ seeds: [] }, 'Cannot use "seeds": must have a seed'],
    [{ seeds: [1, 1.5] }, 'Cannot use "seeds[1]": must be whole numbers, 0 or more, got 1.5'],
    [{ seeds: "1,x" }, 'Cannot use "seeds[1]"'],
    [{ seeds: [1, 1] }, 'Cannot use "seeds": must differ from each other, got [1,1]'],
    [{ title: 5 }, 'Cannot use "title": must be text, got 5'],
    [{ methods: {} }, 'Cannot use "methods": must be a list of objects'],
    [{ methods: [] }, 'Cannot use "methods": must have a method'],
    [{ methods: [[]] }, 'Cannot use "methods[0]": must be an object of settings'],
    [{ methods: [{ name: 5 }] }, 'Cannot use "methods[0].name": must be text, got 5'],
    [{ sweep: [1] }, 'Cannot use "sweep[0]": must be an object of settings, got 1'],
    [{ optims: ["sgd"], methods: [{}] }, 'Cannot use "optims" beside "methods"'],
    [{ optims: "adamv" }, 'Method "adamv": Cannot use "optim": must be one of '],
    [
      { methods: [{ optim: "sgd" }, { optim: "sgd" }] },
      'Cannot compare two methods that are both "sgd". Give each a "name"',
    ],
    [
      { methods: [{ name: "m", max_stepz: 1 }] },
      'Method "m": Cannot use unknown setting "max_stepz": did you mean "max_steps"?',
    ],
    [
      { methods: [{ name: "m", seed: 1 }] },
      'Method "m": Cannot use "seed" here: it is the same for all methods. "seeds" lists the seeds',
    ],
    [{ methods: [{ name: "m", data: "a.txt" }] }, 'Method "m": Cannot use "dataset" here'],
    [
      { methods: [{ name: "m", sweep: [{}, { lr: 0 }] }] },
      'Method "m", entry 2 of its sweep: Cannot use "learning_rate": must be a number above 0, got 0',
    ],
    [
      { methods: [{ name: "m", sweep: [{ lr: 1 }, { lr: 1 }] }] },
      'Method "m": Cannot compare two entries of a sweep that are both "lr 1". Remove one of them',
    ],
  ];
  for (const [settings, includes] of cases) {
    const { message, name } = assertThrows(() => parse(settings), includes);
    assert(name === ConfigError.name && !message.includes("\n"), message);
  }
});

test("the best entry of each sweep, and no other, is run with the other seeds", () => {
  const comparison = parse({
    seeds: [1, 2, 3],
    sweep: [{ lr: 1 }, { lr: 2 }],
    methods: [{ name: "a" }, { name: "b" }],
  });
  const { order, counts, results } = follow(
    comparison,
    (method, entry) => ((entry === "lr 1") === (method === "a") ? 2 : 3),
  );
  assertEquals(order, ["a/lr 1/1", "a/lr 2/1", "a/lr 1/2", "a/lr 1/3", "b/lr 1/1", "b/lr 2/1", "b/lr 2/2", "b/lr 2/3"]);
  assertEquals(counts, Array(8).fill(8));
  assertEquals(rankMethods(comparison, results).map(({ method, entry, ended }) => [method, entry, ended]), [[
    "a",
    "lr 1",
    3,
  ], ["b", "lr 2", 3]]);
});

test("an entry that is best by the seeds that the others did not get does not win by them", () => {
  const comparison = parse({ seeds: [1, 2], sweep: [{ lr: 1 }, { lr: 2 }], methods: [{ name: "a" }] });
  const { results } = follow(comparison, (_, entry, seed) => (seed === 2 ? 9 : entry === "lr 1" ? 2 : 3));
  const [row] = rankMethods(comparison, results);
  assertEquals([row!.entry, row!.eval_loss], ["lr 1", 5.5]);
});

test("replicates all runs every entry with every seed, and the mean decides", () => {
  const comparison = parse({
    seeds: [1, 2],
    replicates: "all",
    sweep: [{ lr: 1 }, { lr: 2 }],
    methods: [{ name: "a" }],
  });
  const { order, results } = follow(comparison, (_, entry, seed) => (entry === "lr 1" ? 2 * seed : 2.5));
  assertEquals(order, ["a/lr 1/1", "a/lr 1/2", "a/lr 2/1", "a/lr 2/2"]);
  assertEquals(rankMethods(comparison, results)[0]!.entry, "lr 2");
});

test(
  "a method that diverges with all its settings gets no other seeds; one that diverges with some goes on without " +
    "them",
  () => {
    const comparison = parse({ seeds: [1, 2], sweep: [{ lr: 1 }, { lr: 2 }], methods: [{ name: "a" }, { name: "b" }] });
    const { order, counts } = follow(comparison, (method, entry) => (method === "a" || entry === "lr 1" ? null : 4));
    assertEquals(order, ["a/lr 1/1", "a/lr 2/1", "b/lr 1/1", "b/lr 2/1", "b/lr 2/2"]);
    assertEquals(counts, [6, 6, 5, 5, 5]);
  },
);

test("results of an earlier start are not asked for again, whatever their order", () => {
  const comparison = parse({ seeds: [1, 2], methods: [{ name: "a" }, { name: "b" }] });
  const results = [resultOf("b", "", 1, 3), resultOf("a", "", 2, 2)];
  const next = nextRun(comparison, results)!;
  assertEquals([next.method.name, next.seed], ["a", 1]);
  assertEquals(nextRun(comparison, [...results, resultOf("a", "", 1, 2)])!.seed, 2);
});

test("a row has mean and standard deviation over the seeds, and the best row is first", () => {
  const comparison = parse({
    seeds: [1, 2, 3],
    methods: [{ name: "bad" }, { name: "dead" }, { name: "half" }, { name: "good" }],
  });
  const losses: Readonly<Record<string, readonly (number | null)[]>> = {
    bad: [4, 5, 6],
    dead: [null, null, null],
    half: [1, null, 1],
    good: [2, 2.5, 3],
  };
  const rows = rankMethods(
    comparison,
    Object.entries(losses).flatMap(([method, values]) => values.map((loss, i) => resultOf(method, "", i + 1, loss))),
  );
  assertEquals(
    rows.map(({ method }) => method),
    ["good", "bad", "half", "dead"],
    "a method that lost a run comes after those that lost none",
  );
  const [good, , half, dead] = rows;
  assertEquals([good!.eval_loss, good!.spread, good!.tokens_per_second, good!.planned_bytes], [2.5, 0.5, 200, BYTES]);
  assertClose([good!.perplexity!], [Math.exp(2.5)], { name: "perplexity", relative: 1e-15 });
  assertEquals([half!.ended, half!.diverged, half!.eval_loss, half!.curves.length], [2, 1, 1, 2]);
  assertEquals([dead!.ended, dead!.diverged, dead!.eval_loss, dead!.spread, dead!.perplexity, dead!.curves.length], [
    0,
    3,
    null,
    null,
    null,
    3,
  ]);
});

test("one seed has no spread", () => {
  const comparison = parse({ methods: [{ name: "a" }] });
  assertEquals(rankMethods(comparison, [resultOf("a", "", 42, 2)])[0]!.spread, null);
  assertEquals(rankMethods(comparison, []), []);
});

test("the description tells what the runs have in common, and where they differ from what to what", () => {
  const results = [resultOf("a", "", 1, 2)];
  assertEquals(
    describeComparison(parse({ dataset: "data/cats.txt", seeds: [1, 2] }), results),
    "cats.txt · LLaMA of 6,448 parameters · 32 tokens a step · 6 steps · 2 seeds",
  );
  const differing = parse({ methods: [{ name: "a" }, { name: "b", max_steps: 3000, gradient_accumulation_steps: 2 }] });
  assertEquals(
    describeComparison(differing, []),
    "embedded stories · 32 to 64 tokens a step · 6 to 3,000 steps · seed 42",
  );
});
