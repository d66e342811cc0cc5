import { assert, assertEquals, assertThrows, test } from "../harness.ts";
import { type Shape, subject } from "./run_optimizer.ts";
import { DEFAULT_SPEC, type OptimizerSpec } from "../../src/optim/optimizer_spec.ts";
import { Optimizer } from "../../src/optim/optimizer.ts";
import { type OptimizerName, resolveOptimizer } from "../../src/optim/presets.ts";
import { Switching } from "../../src/optim/step/switching.ts";
import { tensor } from "../../src/plan/tensor.ts";
import type { TrainableVariable } from "../../src/plan/variable.ts";

const spec = (changes: Partial<OptimizerSpec>): OptimizerSpec => ({ ...DEFAULT_SPEC, update_gap: 5, ...changes });
/** The phases that change at each step, none left out. */
const changes = (switching: Switching, steps: number, from = 0): number[][] =>
  Array.from({ length: steps }, (_, i) => switching.advance(from + i));
const stepsOf = (switching: Switching, steps: number): number[] =>
  changes(switching, steps).flatMap((phases, step) => (phases.length > 0 ? [step] : []));

test("subspaces change at step 0 and then after every gap; BAdam's first period is a step short", () => {
  assertEquals(stepsOf(new Switching(spec({}), 100), 18), [0, 5, 10, 15]);
  assertEquals(stepsOf(new Switching(spec({ update_gap: 1 }), 100), 4), [0, 1, 2, 3]);
  // K - 1, 2 K - 1, …: it counts before it takes the step.
  assertEquals(stepsOf(new Switching(spec({ badam_switch: true }), 100), 18), [0, 4, 9, 14]);
});

test("each change has a number and a step", () => {
  const switching = new Switching(spec({}), 100);
  const seen = Array.from({ length: 12 }, (_, step) => (switching.advance(step), { ...switching.phases[0]! }));
  assertEquals(seen.map(({ index }) => index), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2]);
  assertEquals(seen.map(({ drawn }) => drawn), [0, 0, 0, 0, 0, 5, 5, 5, 5, 5, 10, 10]);
});

test(
  "the groups of a staggered switch all begin at step 0, then change one after another, each once " +
    "in every gap",
  () => {
    const at = changes(new Switching(spec({ update_gap: 6, stagger: 3 }), 100), 14);
    assertEquals(at, [[0, 1, 2], [], [1], [], [2], [], [0], [], [1], [], [2], [], [0], []]);
    // More groups than steps: one a step.
    assertEquals(changes(new Switching(spec({ update_gap: 2, stagger: 9 }), 100), 5), [[0, 1], [1], [0], [1], [0]]);
  },
);

test(
  "a growing gap is half as long again where the validation loss has fallen by less than 0.5 %, up " +
    "to its limit",
  () => {
    const switching = new Switching(spec({ update_gap: 4, update_gap_max: 8 }), 1000), at: number[] = [];
    const losses = new Map([[3, 4], [6, 3.9], [9, 3.895], [20, 3.894], [30, 4]]);
    for (let step = 0; step < 60; step++) {
      if (switching.advance(step).length > 0) at.push(step);
      if (losses.has(step)) switching.evaluated(losses.get(step)!);
    }
    // 3.9 is a fall of 2.5 %; 3.895 is one of 0.13 %: six steps from the change at 8 on; then eight, which is the
    // limit.
    assertEquals(at, [0, 4, 8, 14, 20, 28, 36, 44, 52]);
    const fixed = new Switching(spec({ update_gap: 4 }), 1000);
    for (const loss of [4, 4, 4]) fixed.evaluated(loss);
    assertEquals(stepsOf(fixed, 13), [0, 4, 8, 12]);
  },
);

test(
  "what begins anew later changes from then on as it did from step 0, whatever came before, and " +
    "saves that too",
  () => {
    const policies: Partial<OptimizerSpec>[] = [{}, { badam_switch: true }, { stagger: 3 }, {
      update_gap: 2,
      stagger: 2,
    }, {
      update_gap_max: 40,
    }];
    for (const policy of policies) {
      for (const step of [1, 4, 5, 13]) {
        const first = new Switching(spec(policy), 100),
          again = new Switching(spec(policy), 100),
          expected = changes(first, 30),
          name = `${JSON.stringify(policy)} at step ${step}`;
        changes(again, step);
        for (const loss of [3, 3]) again.evaluated(loss);
        again.beginAt(step);
        // Not only what was saved in the middle, but also before the first step.
        const resumed = new Switching(spec(policy), 100);
        resumed.restore(JSON.parse(JSON.stringify(again.save())));
        for (const one of [again, resumed]) {
          assertEquals([changes(one, 30, step), one.restarted], [expected, step], name);
          assertEquals(
            one.phases.map(({ drawn, last, index }) => [drawn - step, last - step, index]),
            first.phases.map(({ drawn, last, index }) => [drawn, last, index]),
            name,
          );
        }
      }
    }
  },
);

test("the density goes linearly to density_end", () => {
  const densities = (density_end: number | null): number[] =>
    [0, 50, 100, 200].map((step) => new Switching(spec({ density: 0.5, density_end }), 100).densityAt(step));
  assertEquals([densities(null), densities(0), densities(0.75)], [[0.5, 0.5, 0.5, 0.5], [0.5, 0.25, 0, 0], [
    0.5,
    0.625,
    0.75,
    0.75,
  ]]);
});

test("a saved state has the same future, wherever the run was", () => {
  const policies: Partial<OptimizerSpec>[] = [{}, { badam_switch: true }, { stagger: 3 }, { update_gap_max: 40 }, {
    stagger: 2,
    update_gap_max: 40,
  }];
  for (const policy of policies) {
    for (const at of [0, 1, 4, 5, 11]) {
      const straight = new Switching(spec(policy), 100), resumed = new Switching(spec(policy), 100);
      for (let step = 0; step <= at; step++) {
        straight.advance(step);
        if (step % 3 === 2) straight.evaluated(3);
      }
      resumed.restore(JSON.parse(JSON.stringify(straight.save())));
      for (const one of [straight, resumed]) one.evaluated(2.999);
      assertEquals(
        changes(resumed, 60, at + 1),
        changes(straight, 60, at + 1),
        `${JSON.stringify(policy)} after step ${at}`,
      );
    }
  }
});

test("a saved state is a copy", () => {
  const switching = new Switching(spec({}), 100);
  switching.advance(0);
  const state = switching.save(), before = JSON.stringify(state);
  changes(switching, 20, 1);
  assertEquals(JSON.stringify(state), before);
});

// ---- what an Optimizer makes of it ------------------------------------------------------------------------------

/** Words of struct StepInputs. */
const RESTART = 3, COUNT = 5, DRAWN = 6;
const SHAPES: readonly Shape[] = [[12, 8], [7, 9]];

/** Step kind and inputs, by the label of the tensor, of some steps. */
function futureOf(optimizer: Optimizer, from: number, steps: number): unknown[] {
  return Array.from({ length: steps }, (_, i) => {
    const { stepKind, inputs } = optimizer.at(from + i);
    return [stepKind, [...inputs].map(([{ label }, words]) => [label, [...words]])];
  });
}

test("an Optimizer that is restored says what the other goes on to say; at once also what is selected", () => {
  for (const optim of ["adamw", "frugal", "frugal_blocks", "frugal_svd", "galore", "apollo"] as const) {
    for (const own of [{}, { split: "rows" }, { split: "randk" }] as const) {
      if (optim !== "frugal" && "split" in own) continue;
      const make = (): Optimizer =>
        subject(optim, resolveOptimizer(optim, { update_gap: 4, rank: 3, ...own }), SHAPES).optimizer;
      const straight = make(), resumed = make();
      futureOf(straight, 0, 7);
      resumed.restore(JSON.parse(JSON.stringify(straight.save())));
      const [first, ...rest] = futureOf(resumed, 7, 20) as [[string, [string, number[]][]], ...unknown[]];
      const [expected, ...later] = futureOf(straight, 7, 20);
      assertEquals(rest, later, optim);
      const isSelection = ([label]: [string, number[]]): boolean => label.endsWith(".selection");
      assertEquals([first[0], first[1].filter((input) => !isSelection(input))], expected, optim);
      assertEquals(
        first[1].filter(isSelection).length,
        optim === "frugal" && !("split" in own && own.split === "randk") ? 2 : 0,
        `${optim}: selections`,
      );
    }
  }
});

test(
  "an Optimizer that begins anew at a step runs and says there what it did at step 0: new moments, all subspaces " +
    "drawn",
  () => {
    const cases: readonly (readonly [OptimizerName, Partial<OptimizerSpec>])[] = [
      ["adamw", {}],
      ["frugal", {}],
      ["frugal", { split: "randk", stagger: 2 }],
      ["frugal_blocks", {}],
      ["galore", {}],
      ["fira", {}],
      ["badam", {}],
    ];
    for (const [optim, own] of cases) {
      const make = (): Optimizer =>
        subject(optim, resolveOptimizer(optim, { update_gap: 4, rank: 3, ...own }), SHAPES).optimizer;
      const fresh = make(), again = make(), name = `${optim} ${JSON.stringify(own)}`;
      futureOf(again, 0, 6);
      again.beginAt(6);
      for (let step = 0; step < 10; step++) {
        const [one, other] = [fresh.at(step), again.at(6 + step)];
        assertEquals(other.stepKind, one.stepKind, `${name}: step kind ${step} steps later`);
        assertEquals(
          [...other.inputs.keys()].map(({ label }) => label),
          [...one.inputs.keys()].map(({ label }) => label),
          `${name}: inputs ${step} steps later`,
        );
        const allStepInputs = ({ inputs }: typeof one): number[][] =>
          [...inputs].filter(([{ label }]) => label.startsWith("step inputs ")).map((
            [, words],
          ) => [...words.subarray(0, DRAWN)]);
        assertEquals(allStepInputs(other), allStepInputs(one), `${name}: step inputs ${step} steps later`);
      }
    }
  },
);

test("every step runs a program that was recorded, and refreshes come when they are due", () => {
  const cases: [Partial<OptimizerSpec>, number, string[], Record<number, string>][] = [
    [{ split: "randk" }, 20, ["train", "first", "refresh 0"], {
      0: "first",
      1: "train",
      8: "refresh 0",
      16: "refresh 0",
    }],
    // Nothing is refreshed a second time in so few steps.
    [{ split: "randk" }, 8, ["train", "first"], { 0: "first", 7: "train" }],
    [{ split: "randk", stagger: 2 }, 20, ["train", "first", "refresh 0", "refresh 1"], {
      0: "first",
      4: "refresh 1",
      8: "refresh 0",
      12: "refresh 1",
    }],
    // But a later group, and a first period that is a step short, come before the gap is over.
    [{ split: "randk", stagger: 2 }, 7, ["train", "first", "refresh 1"], { 0: "first", 4: "refresh 1" }],
    [{ split: "randk", badam_switch: true }, 8, ["train", "first", "refresh 0"], { 0: "first", 7: "refresh 0" }],
    [{ split: "columns" }, 20, ["train"], { 0: "train", 8: "train" }],
    [{ split: "low_rank", rank: 2, proj: "random" }, 20, ["train"], { 0: "train", 8: "train" }],
    [{ split: "low_rank", rank: 2, proj: "dct" }, 20, ["train", "first", "refresh 0"], { 0: "first", 8: "refresh 0" }],
    [{}, 20, ["train"], { 0: "train", 8: "train" }],
  ];
  for (const [own, max_steps, stepKinds, expected] of cases) {
    const { optimizer } = subject(
        "",
        resolveOptimizer("frugal", { split: "all", update_gap: 8, density: 0.5, ...own }),
        SHAPES,
        {
          max_steps,
        },
      ),
      name = JSON.stringify(own);
    assertEquals(optimizer.stepKinds, stepKinds, `${name} of ${max_steps} steps`);
    for (let step = 0; step < max_steps; step++) {
      const { stepKind } = optimizer.at(step);
      assert(stepKinds.includes(stepKind), `${name}: step ${step} runs ${stepKind}, recorded are ${stepKinds.join()}`);
      if (step in expected) assertEquals(stepKind, expected[step], `${name}: step ${step}`);
    }
  }
});

const wordsOf = (optimizer: Optimizer, step: number, word: number): number[] =>
  [...optimizer.at(step).inputs].filter(([{ label }]) => label.startsWith("step inputs ")).map(([, words]) =>
    words[word]!
  );

test(
  "moments begin anew at every switch or only at the start; those that have no subspace go on, " +
    "except under BAdam",
  () => {
    const restarts = (optim: Parameters<typeof resolveOptimizer>[0], own: Partial<OptimizerSpec> = {}): number[] => {
      const { optimizer } = subject("", resolveOptimizer(optim, { update_gap: 4, rank: 3, ...own }), [[12, 8]]);
      return Array.from({ length: 10 }, (_, step) => step).filter((step) => wordsOf(optimizer, step, RESTART)[0] === 1);
    };
    assertEquals(restarts("adamw"), [0]);
    assertEquals(restarts("adamw", { switch_moments: "keep" }), [0]);
    for (const optim of ["frugal", "frugal_svd"] as const) {
      assertEquals([restarts(optim), restarts(optim, { switch_moments: "keep" })], [[0, 4, 8], [0]], optim);
    }
    assertEquals(
      restarts("frugal_blocks", { density: 1, switch_moments: "keep" }),
      [0, 4, 8],
      "blocks are others each time",
    );
    assertEquals(restarts("galore"), [0]);
    // No layer here: a parameter that BAdam always trains.
    assertEquals(restarts("badam"), [0, 3, 7]);
  },
);

test("parameters of different sizes have own step inputs, where counts agree at the start and not later", () => {
  const { optimizer } = subject("", resolveOptimizer("frugal", { density: 0.25, density_end: 0.5, update_gap: 10 }), [[
    4,
    8,
  ], [
    4,
    11,
  ]], { max_steps: 10 });
  assertEquals(wordsOf(optimizer, 0, COUNT), [2, 2]);
  for (let step = 1; step < 10; step++) optimizer.at(step);
  assertEquals(wordsOf(optimizer, 10, COUNT), [4, 5]);
});

test("BAdam's programs are of layers: each trains its own and what is in none", () => {
  const inLayers = [0, 1, 2].flatMap((
    i,
  ) => [`model.layers.${i}.mlp.up_proj.weight`, `model.layers.${i}.input_layernorm.weight`]);
  const labels = ["model.embed_tokens.weight", ...inLayers, "model.norm.weight"];
  const parameters = labels.map((label): TrainableVariable => {
    const kind = label.includes("norm") ? "norm" : label.includes("embed") ? "embedding" : "linear";
    const layer = /layers\.(\d)/.exec(label)?.[1];
    return {
      value: tensor(label, kind === "norm" ? [8] : [8, 8], "trainable"),
      needsGradient: true,
      kind,
      ...(layer !== undefined && { layer: Number(layer) }),
    };
  });
  const optimizer = new Optimizer(parameters, resolveOptimizer("badam", { block_order: "descending", update_gap: 3 }), {
    ...subject("", DEFAULT_SPEC, []).settings,
  });
  assertEquals(optimizer.stepKinds, ["layers 0", "layers 1", "layers 2"]);
  for (const [set, stepKind] of optimizer.stepKinds.entries()) {
    const trained = parameters.filter((one) => optimizer.trains(stepKind, one)).map(({ value }) =>
      labels.indexOf(value.label)
    );
    assertEquals(trained, [0, 2 * set + 1, 2 * set + 2, 7], stepKind);
  }
  assertEquals(
    Array.from({ length: 9 }, (_, step) => optimizer.at(step).stepKind),
    [2, 2, 1, 1, 1, 0, 0, 0, 2].map((set) => `layers ${set}`),
  );
  assertThrows(() => optimizer.trains("layers 3", parameters[1]!), "No switch leads to layers 3");
});
