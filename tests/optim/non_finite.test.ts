// Gradients that are not finite, steps that are skipped, gradients of zero: what they must leave alone.

import { assert, assertEquals, random, test } from "../harness.ts";
import { testTargets, type Words } from "../ops/run_op.ts";
import { uniform } from "../ops/values.ts";
import { type Shape, type StepOptions, type Subject, subject, withSubjects } from "./run_optimizer.ts";
import { type OptimizerSpec, SPLITS, STATE_FREE_RULES } from "../../src/optim/optimizer_spec.ts";
import { type OptimizerName, OPTIMIZERS, resolveOptimizer } from "../../src/optim/presets.ts";
import type { OptimizerSettings } from "../../src/optim/plan_update.ts";
import { RULE_NAMES } from "../../src/optim/rule/rules.ts";
import type { Tensor } from "../../src/plan/tensor.ts";

const GAP = 3;
/** Vectors of four, and scalars. */
const SHAPES: readonly Shape[] = [[12, 8], [7, 9]];
/** Where moments have eight bits, also those of half of the columns or of rank 32; and one matrix more, for blocks. */
const LARGE: readonly Shape[] = [[256, 64], [64, 64]];

const optimizer = (
  optim: OptimizerName,
  changes: Partial<OptimizerSpec>,
  twin = "",
  settings: Partial<OptimizerSettings> = {},
): Subject => {
  const spec = resolveOptimizer(optim, { update_gap: GAP, ...changes });
  return subject(`${optim} ${JSON.stringify(changes)}`, spec, spec.optim_bits === 8 ? LARGE : SHAPES, settings, twin);
};

/** NaNs of two kinds and both infinities, in one element each. */
const BAD = new Map([[1, 0x7fc00000], [10, 0x7f800001], [30, 0x7f800000], [43, 0xff800000]]);
const goodGradient = (step: number) => (index: number, n: number): Float32Array<ArrayBuffer> =>
  new Float32Array(uniform(random(1000 * step + index), n));
function badGradient(step: number, places: readonly number[]): ReturnType<typeof goodGradient> {
  return (index, n) => {
    const words = new Uint32Array(goodGradient(step)(index, n).buffer);
    for (const place of places) words[place] = BAD.get(place)!;
    return new Float32Array(words.buffer);
  };
}
const zeroGradient = (_: number, n: number): Float32Array<ArrayBuffer> => new Float32Array(n);
const SKIP = Uint32Array.of(...new Uint32Array(Float32Array.of(Infinity, NaN).buffer), 1);

/** Weights and all that is state, of one parameter. */
interface Bits {
  readonly weights: Words;
  readonly state: readonly Words[];
}

/** One parameter around one step. */
interface Seen {
  readonly one: Subject;
  readonly step: number;
  readonly shape: Shape;
  readonly index: number;
  readonly old: Bits;
  readonly now: Bits;
  readonly state: readonly Tensor[];
  readonly name: string;
}

/** Runs steps 0, 1, … and shows `look` every parameter after each. */
async function watch(
  subjects: readonly Subject[],
  steps: readonly StepOptions[],
  look: (seen: readonly Seen[]) => void,
): Promise<void> {
  const parameters = subjects.flatMap((one) => one.variables.map((variable, index) => ({ one, index, variable })));
  await withSubjects((await testTargets())[0]!, subjects, async (stage) => {
    const bitsOf = (): Promise<Bits[]> =>
      Promise.all(parameters.map(async ({ one, index }) => {
        const [weights, state] = await Promise.all([stage.weights(one, index), stage.state(one, index)]);
        return { weights, state };
      }));
    let before = await bitsOf();
    for (const [step, options] of steps.entries()) {
      stage.step(step, options);
      const after = await bitsOf();
      look(parameters.map(({ one, index, variable }, i) => {
        const shape = variable.value.shape as unknown as Shape;
        return {
          one,
          index,
          step,
          shape,
          old: before[i]!,
          now: after[i]!,
          state: one.optimizer.state.get(variable)!,
          name: `${one.name} (${shape}), step ${step}`,
        };
      }));
      before = after;
    }
  });
}

const isFinite = (words: Words): boolean => words.every((word) => (word & 0x7f800000) !== 0x7f800000);
/** Where two tensors differ. */
const differences = (a: Words, b: Words): number[] => [...a.keys()].filter((i) => a[i] !== b[i]);

/** A good step that follows a bad one. */
function checkRecovers({ old, now, state, name }: Seen): void {
  state.forEach(({ type, label }, k) =>
    assert(type === "u32" || isFinite(now.state[k]!), `${name}: ${label} is finite`)
  );
  assert(isFinite(now.weights) && differences(now.weights, old.weights).length > 0, `${name}: weights move again`);
}

/** Shows what a bad gradient at step 0 or 1 did to each parameter, and what the good one did to its twin. */
async function compare(
  make: (twin: string) => Subject[],
  ats: readonly number[],
  places: readonly number[],
  check: (bad: Seen, good: Bits) => void,
): Promise<void> {
  const good = make("good"), bad = ats.flatMap((at) => make(`bad ${at}`));
  const steps = [0, 1, 2].map((step): StepOptions => ({
    gradient: (index, n, twin) => (twin === `bad ${step}` ? badGradient(step, places) : goodGradient(step))(index, n),
  }));
  await watch([...good, ...bad], steps, (all) => {
    const twins = all.filter(({ one }) => one.twin === "good");
    all.filter(({ one }) => one.twin !== "good").forEach((seen, i) => {
      const at = Number(seen.one.twin.slice("bad ".length));
      if (seen.step === at) check(seen, twins[i % twins.length]!.now);
      if (seen.step === at + 1) checkRecovers(seen);
    });
  });
}

const ELEMENTWISE = ["no", "sign_sgd", "sgd"] as const;

function elementwise(twin: string): Subject[] {
  const splits = SPLITS.filter((split) => split !== "low_rank" && split !== "layers");
  const plain = splits.flatMap((split) =>
    RULE_NAMES.flatMap((active_update_rule) =>
      ELEMENTWISE.map((inactive_update_rule) =>
        optimizer(
          "adamw",
          { split, active_update_rule, inactive_update_rule, density: 0.5, block_order: "ascending" },
          twin,
        )
      )
    )
  );
  const eightBit = (["all", "columns", "blocks"] as const).flatMap((split) =>
    ELEMENTWISE.map((inactive_update_rule) =>
      optimizer("adamw_8bit", { split, inactive_update_rule, density: 0.5 }, twin)
    )
  );
  return [...plain, ...eightBit];
}

test(
  "updates of single elements: what is not finite leaves its element and its moments alone, " +
    "and no other",
  async () => {
    const places = [...BAD.keys()];
    await compare(elementwise, [0, 1], places, ({ one, old, now, name }, good) => {
      now.weights.forEach((word, i) => {
        const want = BAD.has(i) ? old.weights[i]! : good.weights[i]!;
        if (word !== want) assertEquals(word, want, `${name}: weight ${i}`);
      });
      // In a block of 256 with eight bits a number that stays can change the scale of all.
      if (one.spec.optim_bits === 8) return;
      now.state.forEach((words, which) => {
        // Which of them are state-full is up to the split.
        const spared = differences(words, good.state[which]!);
        assert(
          spared.length <= places.length * one.variables.length,
          `${name}: ${spared.length} numbers of state tensor ${which} differ`,
        );
        for (const i of spared) {
          assertEquals(words[i], old.state[which]![i], `${name}: number ${i} of state tensor ${which}`);
        }
      });
      if (one.spec.split === "all") {
        assertEquals(differences(now.state[0]!, good.state[0]!), places, `${name}: moments left alone`);
      }
    });
  },
);

const lowRank = (proj_type: OptimizerSpec["proj_type"]) => (twin: string): Subject[] =>
  ELEMENTWISE.flatMap((inactive_update_rule) =>
    (["frugal_svd", "galore"] as const).map((optim) =>
      optimizer(optim, { proj_type, rank: 3, inactive_update_rule }, twin)
    )
  );
const normalized = (inactive_update_rule: OptimizerSpec["inactive_update_rule"]) => (twin: string): Subject[] =>
  (["none", "columns", "randk"] as const).map((split) =>
    optimizer("scale", { split, inactive_update_rule, density: 0.5 }, twin)
  );

test("what looks at rows or columns: a bad element leaves no more than its own alone", async () => {
  const at = 10;
  const own: Readonly<Record<"row" | "column", (i: number, n: number) => boolean>> = {
    row: (i, n) => Math.floor(i / n) === Math.floor(at / n),
    column: (i, n) => i % n === at % n,
  };
  const cases = [[lowRank("right"), "row"], [lowRank("left"), "column"], [normalized("row_normalized"), "row"], [
    normalized("column_normalized"),
    "column",
  ]] as const;
  for (const [make, line] of cases) {
    await compare(make, [1], [at], ({ shape: [, n], old, now, name }, good) => {
      now.weights.forEach((word, i) => {
        const want = own[line](i, n) ? old.weights[i]! : good.weights[i]!;
        if (word !== want) assertEquals(word, want, `${name}: weight ${i}, the ${line} of ${at} apart`);
      });
      now.state.forEach((words, which) => {
        for (const i of differences(words, good.state[which]!)) {
          assertEquals(words[i], old.state[which]![i], `${name}: number ${i} of state tensor ${which}`);
        }
      });
    });
  }
});

test(
  "what has one scale for a matrix, or projects both of its sides, leaves all of it alone; limiter and bases " +
    "survive",
  async () => {
    const subjects = [
      ...(["fira", "apollo", "apollo_mini"] as const).flatMap((optim) =>
        (["left", "right"] as const).map((proj_type) =>
          optimizer(optim, { proj_type, rank: optim === "apollo_mini" ? 1 : 3 })
        )
      ),
      ...(["columns", "rows", "randk"] as const).flatMap((split) =>
        (["fira", "apollo"] as const).map((inactive_update_rule) =>
          optimizer("frugal", { split, inactive_update_rule, density: 0.5 })
        )
      ),
      ...lowRank("full")(""),
    ];
    // The first step, one in the middle, one that is a switch.
    const isBad = [true, false, true, true, false];
    await watch(
      subjects,
      isBad.map((bad, step) => ({ gradient: bad ? badGradient(step, [10]) : goodGradient(step) })),
      (all) => {
        for (const seen of all) {
          const { step, old, now, state, name } = seen;
          if (!isBad[step]) checkRecovers(seen);
          else assertEquals(now.weights, old.weights, `${name}: weights`);
          state.forEach(({ label }, which) => {
            if (isBad[step] && (/limited_norm$/.test(label) || (step > 0 && /basis$/.test(label)))) {
              assertEquals(now.state[which], old.state[which], `${name}: ${label}`);
            }
          });
        }
      },
    );
  },
);

function everything(settings: Partial<OptimizerSettings> = {}): Subject[] {
  const presets = OPTIMIZERS.map((optim) =>
    optimizer(
      optim,
      optim === "apollo_mini" ? {} : { rank: optim.endsWith("8bit") ? 32 : 3, density: 0.5 },
      "",
      settings,
    )
  );
  const free = STATE_FREE_RULES.flatMap((inactive_update_rule, i) =>
    (["columns", "rows", "randk", "low_rank"] as const).map((split, j) =>
      optimizer(
        "frugal",
        { split, inactive_update_rule, switch_moments: (i + j) % 2 ? "keep" : "reset", rank: 3, density: 0.5 },
        "",
        settings,
      )
    )
  );
  const eightBit = (["columns", "rows", "randk", "blocks"] as const).map((split) =>
    optimizer("frugal", { split, density: 0.5, optim_bits: 8 }, "", settings)
  );
  return [...presets, ...free, ...eightBit];
}

/** 0, or four codes of 0: the middle of the signed map. */
const isEmpty = (words: Words, { spec }: Subject): boolean =>
  words.every((word) => word === 0 || (spec.optim_bits === 8 && word === 0x7f7f7f7f));
/** The facts of a subspace. */
const isChoice = (label: string): boolean => /\.(basis|mask|indices)$/.test(label);

test(
  "a skipped step changes nothing at all; where it is a switch, moments that would begin " +
    "anew are empty",
  async () => {
    const skipped = [true, false, true, true, false];
    await watch(
      everything(),
      skipped.map((skip, step) => ({ gradient: goodGradient(step), ...(skip ? { clip: SKIP } : {}) })),
      (all) => {
        for (const seen of all) {
          const { one, step, old, now, state, name } = seen, { split, switch_moments } = one.spec;
          if (!skipped[step]) checkRecovers(seen);
          else assertEquals(now.weights, old.weights, `${name}: weights`);
          const switches = split === "layers" ? step === GAP - 1 : step === GAP && split !== "all" && split !== "none";
          const restarts = step === 0 || (switches && (switch_moments === "reset" || split === "blocks"));
          if (skipped[step]) {
            state.forEach(({ label }, which) => {
              // The switch has taken place; and in a pool the moments of a matrix that is not active now are not its
              // own.
              if (step % GAP === 0 && (isChoice(label) || (step > 0 && label.startsWith("pool")))) return;
              if (restarts && !label.endsWith("limited_norm")) {
                assert(isEmpty(now.state[which]!, one), `${name}: ${label} is empty`);
              } else assertEquals(now.state[which], old.state[which], `${name}: ${label}`);
            });
          }
        }
      },
    );
  },
);

test("a gradient of zero moves nothing but what weights decay by, and the next one moves weights", async () => {
  const zero = [true, false, true, false];
  await watch(
    everything({ weight_decay: 0 }),
    zero.map((none, step) => ({ gradient: none ? zeroGradient : goodGradient(step) })),
    (all) => {
      for (const seen of all) {
        const { one, step, old, now, state, name } = seen;
        if (!zero[step]) checkRecovers(seen);
        if (step > 0) continue;
        assertEquals(now.weights, old.weights, `${name}: weights`);
        state.forEach(({ label }, which) =>
          assert(isChoice(label) || isEmpty(now.state[which]!, one), `${name}: ${label} is empty`)
        );
      }
    },
  );
});
