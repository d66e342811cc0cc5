// Balanced factors against f64, and a small factorised llama on the device before and after.

import { assert, assertClose, assertEquals, assertThrows, random, test } from "../harness.ts";
import { ADAM, CONFIG, someBatch } from "../models/run_llama.ts";
import { testTargets } from "../ops/run_op.ts";
import { matmul, type Reals } from "../reference/ops.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import { LLAMA, type Llama } from "../../src/models/llama.ts";
import { trainedParameters } from "../../src/models/parameter.ts";
import { lowRankLayers } from "../../src/models/parts.ts";
import { Optimizer } from "../../src/optim/optimizer.ts";
import { resolveOptimizer } from "../../src/optim/presets.ts";
import { type EvaluateProgram, planPrograms, recordEvaluate, recordTrain, tablesOf } from "../../src/train/programs.ts";
import { balanceFactors, rebalance } from "../../src/train/rebalance.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { testGpu } from "../test_gpu.ts";

type Values = Float32Array<ArrayBuffer>;

/** [out, in, rank], and by what power of ten the directions of either factor differ. */
const SHAPES = [[1, 1, 1, 0], [5, 7, 1, 0], [4, 9, 4, 0], [9, 4, 4, 0], [20, 33, 8, 0], [33, 20, 8, 2], [
  48,
  128,
  32,
  1,
]] as const;

function someFactors(out: number, width: number, rank: number, decades = 0): { a: Values; b: Values } {
  const next = random(out * 1000 + width),
    shrink = (direction: number): number => 10 ** ((-decades * direction) / rank);
  return {
    a: Float32Array.from({ length: rank * width }, (_, i) => (2 * next() - 1) * shrink(Math.floor(i / width))),
    b: Float32Array.from({ length: out * rank }, (_, i) => 10 * (2 * next() - 1) * shrink(i % rank)),
  };
}

const product = (a: Values, b: Values, out: number, width: number, rank: number): Reals =>
  matmul("NN", new Float64Array(b), new Float64Array(a), { M: out, N: width, K: rank });
const largest = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((max, x) => Math.max(max, Math.abs(x)), 0);

for (const [out, width, rank, decades] of SHAPES) {
  test(`balanceFactors(): (${out}, ${rank}) times (${rank}, ${width}), ${decades} decades`, () => {
    const { a, b } = someFactors(out, width, rank, decades), before = product(a, b, out, width, rank);
    const result = balanceFactors(a, b, out, width, rank);
    assertEquals(result.balanced, true);
    // f32 rounds each factor once: 6e-8 of each of `rank` terms.
    assertClose(product(result.a, result.b, out, width, rank), before, {
      name: "B A",
      absolute: 1e-6 * largest(before),
    });

    const grams = [
      matmul("TN", new Float64Array(result.b), new Float64Array(result.b), { M: rank, N: rank, K: out }),
      matmul("NT", new Float64Array(result.a), new Float64Array(result.a), { M: rank, N: rank, K: width }),
    ];
    const S = Float64Array.from({ length: rank }, (_, i) => grams[0]![i * rank + i]!);
    const diagonal = Float64Array.from(
      { length: rank * rank },
      (_, i) => (i % (rank + 1) === 0 ? S[i / (rank + 1)]! : 0),
    );
    const scale = diagonal.map((_, i) => Math.sqrt(S[Math.floor(i / rank)]! * S[i % rank]!));
    grams.forEach((gram, i) => assertClose(gram, diagonal, { name: ["BᵀB", "A Aᵀ"][i]!, relative: 1e-5, scale }));
    assert(S.every((s, i) => s > 0 && (i === 0 || s <= S[i - 1]!)), `singular values fall: ${S}`);
    assertClose([S.reduce((sum, s) => sum + s * s, 0)], [before.reduce((sum, x) => sum + x * x, 0)], {
      name: "squares of the singular values and of B A",
      relative: 1e-6,
    });

    const again = balanceFactors(result.a, result.b, out, width, rank),
      sign = (i: number): number => Math.sign(again.b[i]! * result.b[i]!);
    // Close singular values may mix their vectors by the rounding over their distance.
    if (rank <= 8) {
      assertClose(again.b.map((x, i) => x * sign(i)), result.b, {
        name: "balanced again",
        absolute: 1e-4 * largest(result.b),
      });
    }
  });
}

test("balanceFactors(): factors that are not finite or lack full rank stay as they are", () => {
  const { a, b } = someFactors(6, 10, 4),
    with_ = (values: Values, change: (x: number, i: number) => number): Values => values.map(change);
  for (
    const [name, badA, badB] of [
      ["B = 0", a, with_(b, () => 0)],
      ["a column of B is 0", a, with_(b, (x, i) => (i % 4 === 2 ? 0 : x))],
      ["two equal columns of B", a, with_(b, (x, i) => (i % 4 === 2 ? b[i - 1]! : x))],
      ["two columns of B that agree to six digits", a, with_(b, (x, i) => (i % 4 === 2 ? b[i - 1]! + 1e-6 * x : x))],
      [
        "a direction of 1e-10 of the others",
        with_(a, (x, i) => (i < 10 ? 1e-5 * x : x)),
        with_(b, (x, i) => (i % 4 === 0 ? 1e-5 * x : x)),
      ],
      ["two equal rows of A", with_(a, (x, i) => (i < 10 ? a[i + 10]! : x)), b],
      ["rank above what B can have", someFactors(3, 10, 4).a, someFactors(3, 10, 4).b],
      ["NaN", with_(a, (x, i) => (i === 13 ? NaN : x)), b],
      ["infinity", a, with_(b, (x, i) => (i === 5 ? -Infinity : x))],
      ["infinity first", with_(a, (x, i) => (i === 0 ? Infinity : x)), b],
    ] as const
  ) {
    const copies = [badA.slice(), badB.slice()], result = balanceFactors(badA, badB, badB.length / 4, 10, 4);
    assertEquals(result, { a: copies[0], b: copies[1], balanced: false }, name);
  }
});

test("balanceFactors(): refuses lengths that do not fit", () => {
  const { a, b } = someFactors(6, 10, 4);
  assertThrows(
    () => balanceFactors(b, a, 6, 10, 4),
    "Cannot balance factors of 24 and 40 numbers: expected A (4,10) and B (6,4)",
  );
});

const RANK = 8, BATCHES = [someBatch(1, 2)];

/** The small llama with factors of rank 8 and alpha 12, to be trained by AdamW. Three layers of seven pairs. */
async function lowRankLlama(
  target: KernelTarget,
  gradient_checkpointing = false,
): Promise<{ readonly trainer: Trainer; readonly model: Llama; readonly evaluate: EvaluateProgram }> {
  const model = LLAMA.create(CONFIG, { type: "f32", factors: { rank: RANK, alpha: 12 } });
  const settings = {
    ...ADAM,
    momentum: 0.9,
    seed: 1,
    max_steps: 100,
    optim_target_modules: null,
    state_free_modules: [],
  };
  const common = { target, model, tables: tablesOf(model, 9), B: 2, T: 9 };
  const optimizer = new Optimizer(trainedParameters(model), resolveOptimizer("adamw", {}), settings);
  const train = recordTrain({
    ...common,
    gradient_accumulation_steps: 1,
    max_grad_norm: 0,
    gradient_checkpointing,
    optimizer,
    metrics_rows: 4,
  });
  const programs = { train, evaluate: recordEvaluate(common) };
  return {
    trainer: await Trainer.create(await testGpu(), model, programs, planPrograms(programs), { seed: 1 }),
    model,
    evaluate: programs.evaluate,
  };
}

function steps(trainer: Trainer, count: number): void {
  for (let i = 0; i < count; i++) trainer.step(BATCHES, 0.003);
}

test("a factorised llama learns, and refactorising in the middle changes its factors but not its loss", async () => {
  for (const target of await testTargets()) {
    const { trainer, model, evaluate } = await lowRankLlama(target),
      { a, b } = lowRankLayers(model)[3]!,
      { executor } = trainer;
    const lossNow = async (): Promise<number> => (await trainer.evaluate(evaluate, BATCHES)).eval_loss,
      first = await lossNow();
    steps(trainer, 10);
    const before = await lossNow(), oldA = await executor.read(a.value);
    assert(before < first - 0.1, `${target}: the loss falls from ${first} to ${before}`);
    assertEquals(await rebalance(executor, lowRankLayers(model)), 21);
    // Every factor is rounded once more, 6e-8 of it.
    assertClose([await lossNow()], [before], { name: "loss of balanced factors", relative: 1e-5 });
    const [A, B] = await Promise.all([executor.read(a.value), executor.read(b.value)]), width = A.length / RANK;
    assert(A.some((x, i) => Math.abs(x - oldA[i]!) > 0.01), "the factors are others");
    const squares = (values: Values): number => values.reduce((sum, x) => sum + x * x, 0),
      ranks = [...Array(RANK).keys()];
    const ofB = ranks.map((k) => squares(B.filter((_, i) => i % RANK === k)));
    assertClose(ranks.map((k) => squares(A.subarray(k * width, (k + 1) * width))), ofB, {
      name: "squares of rows of A and columns of B",
      relative: 1e-5,
    });
    steps(trainer, 10);
    const after = await lossNow();
    assert(after < before - 0.1, `${target}: the loss falls on from ${before} to ${after}`);
    trainer.destroy();
  }
});

test("factors that cannot be balanced stay on the device as they are, the others are balanced", async () => {
  const { trainer, model } = await lowRankLlama((await testGpu()).target),
    { a, b } = lowRankLayers(model)[1]!,
    { executor } = trainer;
  executor.write(b.value, new Float32Array(b.value.shape[0]! * RANK));
  const before = await executor.readWords(a.value);
  assertEquals(await rebalance(executor, lowRankLayers(model)), 20);
  assertEquals(await executor.readWords(a.value), before);
  assert((await executor.read(b.value)).every((x) => x === 0), "B = 0 stays");
  trainer.destroy();
});

test("checkpointing a factorised llama computes the same bits", async () => {
  const { target } = await testGpu(), results = [];
  for (const checkpointing of [false, true]) {
    const { trainer, model } = await lowRankLlama(target, checkpointing);
    steps(trainer, 3);
    results.push(await Promise.all(model.parameters.map(({ value }) => trainer.executor.readWords(value))));
    trainer.destroy();
  }
  assertEquals(results[1], results[0]);
});
