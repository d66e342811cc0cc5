// Points of the grid that are other optimizers exactly, compared bit by bit.

import { assert, assertEquals, random, test } from "../harness.ts";
import { testTargets, type Words } from "../ops/run_op.ts";
import { uniform } from "../ops/values.ts";
import { type Shape, type Stage, type Subject, subject, withSubjects } from "./run_optimizer.ts";
import { type OptimizerSpec, STATE_FREE_RULES } from "../../src/optim/optimizer_spec.ts";
import { type OptimizerName, resolveOptimizer } from "../../src/optim/presets.ts";
import { RULE_NAMES } from "../../src/optim/rule/rules.ts";
import { size, type Tensor } from "../../src/plan/tensor.ts";

const GAP = 3, STEPS = 8;
/** Vectors of four, and scalars. */
const SHAPES: readonly Shape[] = [[12, 8], [7, 9]];
/** More than 65 535 workgroups of 64 threads, without vectors. */
const LARGE: Shape = [2049, 2047];

const gradientAt = (step: number) => (index: number, n: number): Float32Array<ArrayBuffer> => {
  const gradient = new Float32Array(uniform(random(1000 * step + index), n));
  gradient[1] = 0;
  return gradient;
};

const optimizer = (optim: OptimizerName, changes: Partial<OptimizerSpec>, shapes = SHAPES): Subject =>
  subject(`${optim} ${JSON.stringify(changes)}`, resolveOptimizer(optim, { update_gap: GAP, ...changes }), shapes);

/** Weights and moments, all parameters of a subject. What else is state (a mask of randk, say) has no counterpart. */
async function bitsOf(stage: Stage, one: Subject): Promise<Words[]> {
  const weights = await Promise.all(one.variables.map((_, i) => stage.weights(one, i)));
  const moments = await Promise.all(one.variables.map((_, i) => stage.state(one, i)));
  return one.spec.split === "blocks" ? weights : [...weights, ...moments.flatMap((state) => state.slice(0, 2))];
}

const differs = (a: readonly Words[], b: readonly Words[]): boolean =>
  a.some((words, i) => words.some((word, j) => word !== b[i]![j]));

test(
  "density 1 is AdamW to the bit: until the first switch, and from then on AdamW with moments " +
    "that begin anew",
  async () => {
    const plain = optimizer("adamw", {}), anew = optimizer("adamw", {});
    const whole = (["columns", "rows", "randk"] as const).map((split) => optimizer("frugal", { split, density: 1 }));
    const blocks = optimizer("frugal_blocks", { density: 1 });
    // Its step inputs of the first steps, again and again.
    const allStepInputs: ReadonlyMap<Tensor, Words>[] = [];
    await withSubjects((await testTargets())[0]!, [plain, anew, ...whole, blocks], async (stage) => {
      for (let step = 0; step < STEPS; step++) {
        stage.step(step, {
          gradient: gradientAt(step),
          replace: (one, inputs) => (one === anew ? (allStepInputs[step % GAP] ??= inputs) : inputs),
        });
        const expected = await bitsOf(stage, anew), straight = await bitsOf(stage, plain);
        assertEquals(differs(expected, straight), step >= GAP, `step ${step}: a restart shows`);
        for (const one of [...whole, blocks]) {
          assertEquals(
            await bitsOf(stage, one),
            expected.slice(0, one === blocks ? 2 : 6),
            `${one.name}, step ${step}`,
          );
        }
      }
    });
  },
);

test("density 1 is AdamW to the bit past 65 535 workgroups", async () => {
  const plain = optimizer("adamw", {}, [LARGE]), columns = optimizer("frugal", { density: 1 }, [LARGE]);
  await withSubjects((await testTargets())[0]!, [plain, columns], async (stage) => {
    const gradient = gradientAt(0)(0, size(plain.variables[0]!.value));
    for (let step = 0; step < 2; step++) stage.step(step, { gradient: () => gradient });
    const [expected, actual] = [await bitsOf(stage, plain), await bitsOf(stage, columns)];
    assert(expected[1]!.every((word, i) => word !== 0 || gradient[i] === 0), "all moments were written");
    assertEquals(differs(actual, expected), false, "a bit that differs");
  });
});

test("density 0 and rank 0 are signSGD to the bit, of every state-full rule", async () => {
  const sign = optimizer("sign_sgd", {});
  const nothing = [
    optimizer("frugal_zero", {}),
    ...(["columns", "rows", "randk"] as const).flatMap((split) =>
      RULE_NAMES.map((active_update_rule) => optimizer("frugal", { split, density: 0, active_update_rule }))
    ),
    optimizer("frugal", { density: 0.1 }),
    optimizer("frugal_blocks", { density: 0 }),
    optimizer("frugal_svd", { density: 0 }),
    optimizer("frugal_svd", { rank: 0 }),
  ];
  await withSubjects((await testTargets())[0]!, [sign, ...nothing], async (stage) => {
    for (let step = 0; step < STEPS; step++) stage.step(step, { gradient: gradientAt(step) });
    const expected = await bitsOf(stage, sign);
    assertEquals(expected.length, 2, "no state");
    for (const one of nothing) assertEquals(await bitsOf(stage, one), expected, one.name);
  });
});

test(
  "where everything is state-full, the state-free rule has nothing to do: to the bit, and also where a " +
    "projection is complete",
  async () => {
    const subjects = (changes: Partial<OptimizerSpec>): Subject[] =>
      STATE_FREE_RULES.map((inactive_update_rule) => optimizer("adamw", { ...changes, inactive_update_rule }));
    const alone = (one: Subject): boolean =>
      one.spec.inactive_update_rule !== "fira" && one.spec.inactive_update_rule !== "apollo";
    const all = subjects({}), svd = subjects({ split: "low_rank", density: 1 }).filter(alone);
    const columns = subjects({ split: "columns", density: 1 }).filter(alone);
    await withSubjects((await testTargets())[0]!, [...all, ...svd, ...columns], async (stage) => {
      for (let step = 0; step < STEPS; step++) stage.step(step, { gradient: gradientAt(step) });
      for (const group of [all, svd, columns]) {
        // Rules that look at one element alone take one pass, the others several: two orders of rounding.
        const isElementwise = ({ spec: { inactive_update_rule: rule } }: Subject): boolean =>
          rule === "no" || rule === "sign_sgd" || rule === "sgd";
        for (
          const same of group === svd
            ? [group]
            : [group.filter(isElementwise), group.filter((one) => !isElementwise(one))]
        ) {
          const expected = await bitsOf(stage, same[0]!);
          for (const one of same) assertEquals(await bitsOf(stage, one), expected, one.name);
        }
      }
    });
  },
);
