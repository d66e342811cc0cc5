// The grid of optimizers on the device against its f64 reference: every split with every state-full and every
// state-free rule.

import { assert, assertClose, assertEquals, assertThrows, random, test } from "../harness.ts";
import { testTargets, type Words } from "../ops/run_op.ts";
import { uniform } from "../ops/values.ts";
import type { Grid as ReferenceGrid } from "../reference/grid.ts";
import type { Chosen } from "../reference/grid_split.ts";
import type { Reals } from "../reference/ops.ts";
import {
  chosenBy,
  LEARNING_RATE,
  referenceOf,
  type Shape,
  startOf,
  type Subject,
  subject,
  withSubjects,
} from "./run_optimizer.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import { type OptimizerSpec, STATE_FREE_RULES, SWITCHES } from "../../src/optim/optimizer_spec.ts";
import { resolveOptimizer } from "../../src/optim/presets.ts";
import type { Tensor } from "../../src/plan/tensor.ts";

const GAP = 3, STEPS = 8;
/**
 * Shares of the largest weight, about 1. Eight roundings of the weight are at most 4e-7 of it; a step of 0.01 whose
 * direction lost a hundred roundings to what cancels in a projection adds 1e-7. The largest seen is 3.6e-7.
 */
const TOLERANCE = 2e-6;
/** Vectors of four, and scalars; tall, and wide. */
const SHAPES: readonly Shape[] = [[12, 8], [7, 9]];

/** Each has its own of what else there is to choose, so that all of it occurs beside everything. */
const RULES: readonly Partial<OptimizerSpec>[] = [
  { active_update_rule: "adam" },
  { active_update_rule: "adam_hf", decay: "after", scale_front: true },
  { active_update_rule: "lion", decay: "after" },
  { active_update_rule: "sgd", disable_nl: true },
  { active_update_rule: "sgd", decay: "after", nesterov: true },
];
const MOMENTS: readonly Partial<OptimizerSpec>[] = SWITCHES.map((switch_moments) => ({
  switch_moments,
  scale_type: switch_moments === "keep" ? "tensor" : "channel",
}));

const SPLITS: Readonly<Record<string, Partial<OptimizerSpec>>> = {
  all: { split: "all" },
  none: { split: "none" },
  columns: { split: "columns" },
  rows: { split: "rows" },
  randk: { split: "randk" },
  blocks: { split: "blocks", block_order: "ascending" },
  "low_rank left": { split: "low_rank", proj_type: "left" },
  "low_rank right": { split: "low_rank", proj_type: "right" },
  "low_rank full": { split: "low_rank", proj_type: "full" },
};
const OTHER_BASES: readonly Partial<OptimizerSpec>[] = (["random_orthogonal", "dct", "random"] as const).flatMap((
  proj,
) => (["left", "right", "full"] as const).map((proj_type) => ({ split: "low_rank", proj, proj_type })));

/** The parts chosen: 3 or 4 columns, 2 or 4 rows, 25 or 38 elements of a matrix; one of three matrices. */
const COMMON: Partial<OptimizerSpec> = {
  density: 0.4,
  rank: 3,
  update_gap: GAP,
  momentum: Math.fround(0.9),
  scale: 0.25,
  inactive_lr_scale: Math.fround(0.3),
  proj_params_lr_scale: Math.fround(0.7),
};

/** The points that are refused, and nothing else. */
function isRefused(
  { split, inactive_update_rule: free, switch_moments, proj, proj_type }: Partial<OptimizerSpec>,
): boolean {
  if ((free === "fira" || free === "apollo") && (split === "none" || split === "blocks")) return true;
  return switch_moments === "rotate" && (split !== "low_rank" || proj_type === "full" || proj === "random");
}

function subjectsOf(split: Partial<OptimizerSpec>): Subject[] {
  const combinations = RULES.flatMap((rule) =>
    STATE_FREE_RULES.flatMap((inactive_update_rule) =>
      MOMENTS.map((moments) => ({ ...rule, inactive_update_rule, ...moments }))
    )
  );
  return combinations.flatMap((own) => {
    const changes = { ...COMMON, ...split, ...own }, name = JSON.stringify({ ...split, ...own });
    // A rotation happens before any of the rules has its turn: two of them are enough to see it.
    if (
      own.switch_moments === "rotate" && !isRefused(changes) && own.inactive_update_rule !== "no" &&
      own.inactive_update_rule !== "fira"
    ) return [];
    if (isRefused(changes)) {
      const { message } = assertThrows(() => resolveOptimizer("adamw", changes), 'Cannot use optim "adamw" so: ');
      assert(!message.includes("\n"), `one line: ${message}`);
      return [];
    }
    return SHAPES.map((shape) =>
      subject(name, resolveOptimizer("adamw", changes), Array(split.split === "blocks" ? 3 : 1).fill(shape))
    );
  });
}

const gradientAt = (step: number) => (index: number, n: number): Float32Array<ArrayBuffer> =>
  new Float32Array(uniform(random(1000 * step + index), n));

/** True if there is a subspace to change, and so a switch that restarts moments. */
const changes = ({ spec: { split } }: Subject): boolean => split !== "all" && split !== "none";

/** One matrix in f64. */
interface Followed {
  readonly one: Subject;
  readonly index: number;
  readonly shape: Shape;
  readonly reference: ReferenceGrid;
  readonly weights: Reals;
}

/** A switch chooses the same for all subjects that choose in the same way, so it is read from one of them. */
const sourceOf = ({ one: { spec }, shape, index }: Followed): string =>
  [spec.split, spec.proj, spec.proj_type, shape, index].join();

/** Drives all subjects and their references, and compares the weights of the last step. */
async function follow(target: KernelTarget, subjects: readonly Subject[]): Promise<void> {
  const followed = subjects.flatMap((one): Followed[] =>
    one.variables.map(({ value }, index) => {
      const shape = value.shape as unknown as Shape;
      return {
        one,
        index,
        shape,
        reference: referenceOf(one, shape),
        weights: Float64Array.from(startOf(index, shape[0] * shape[1])),
      };
    })
  );
  return withSubjects(target, subjects, async (stage) => {
    for (let step = 0; step < STEPS; step++) {
      const inputs = stage.step(step, { gradient: gradientAt(step) });
      const chosen = step % GAP === 0 && subjects.some(changes)
        ? await choices(followed, inputs, (state) => stage.executor.readWords(state))
        : undefined;
      for (const each of followed) {
        const gradient = Float64Array.from(gradientAt(step)(each.index, each.weights.length));
        each.reference.step(each.weights, gradient, LEARNING_RATE, chosen?.get(each));
      }
    }
    await Promise.all(followed.map(async ({ one, index, shape, weights }) => {
      const actual = new Float32Array((await stage.weights(one, index)).buffer),
        largest = Math.max(...weights.map(Math.abs));
      assertClose(actual, weights, {
        name: `${one.name} ${shape} (${target}): w${index}`,
        absolute: TOLERANCE * largest,
        shape,
      });
    }));
  });
}

async function choices(
  followed: readonly Followed[],
  inputs: ReadonlyMap<Subject, ReadonlyMap<Tensor, Words>>,
  read: (state: Tensor) => Promise<Words>,
): Promise<ReadonlyMap<Followed, Chosen>> {
  const known = new Map<string, Promise<Words>>();
  const pairs = followed.map(async (each) => {
    const source = sourceOf(each);
    const readOnce = (state: Tensor): Promise<Words> => {
      const key = `${source} ${state.label}`;
      if (!known.has(key)) known.set(key, read(state));
      return known.get(key)!;
    };
    return [each, await chosenBy(each.one, each.index, inputs.get(each.one)!, readOnce)] as const;
  });
  return new Map(await Promise.all(pairs));
}

for (const [name, split] of Object.entries(SPLITS)) {
  test(
    `${name}: every pair of rules follows the f64 reference through three subspaces, and what has no meaning is ` +
      "refused",
    async () => {
      const pairs = split.split === "none" || split.split === "blocks" ? 25 : 35, subjects = subjectsOf(split);
      assertEquals(
        subjects.length / SHAPES.length,
        2 * pairs + (split.split === "low_rank" && split.proj_type !== "full" ? 10 : 0),
        "combinations",
      );
      const [target, tiled] = await testTargets();
      await follow(target!, subjects);
      // Among these kernels only products of matrices have others for GPUs, and they are the same for every rule.
      if (split.split === "low_rank") {
        await follow(
          tiled!,
          subjectsOf(split).filter(({ spec }) => spec.active_update_rule === "adam" && spec.switch_moments !== "keep"),
        );
      }
    },
  );
}

test("low_rank: the other projections", async () => {
  const [target] = await testTargets();
  await follow(target!, OTHER_BASES.flatMap(subjectsOf).filter(({ spec }) => spec.active_update_rule === "adam_hf"));
});
