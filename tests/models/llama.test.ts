// One way of training against another, on the device. Comparisons with PyTorch are in tests/oracle.

import { assert, assertClose, assertEquals, test } from "../harness.ts";
import { testTargets } from "../ops/run_op.ts";
import { bytesByRole } from "../../src/plan/ledger.ts";
import { OPTIMIZERS } from "../../src/optim/presets.ts";
import { type Options, someBatch, trainLlama, type Words } from "./run_llama.ts";
import { testGpu } from "../test_gpu.ts";

interface Trained {
  readonly labels: readonly string[];
  readonly parameters: readonly Words[];
  readonly gradients: readonly Words[];
  readonly losses: readonly number[];
}

/** Parameters and gradients after a few steps of `accumulate` micro-batches each. */
async function train(options: Options, steps = 3): Promise<Trained> {
  const { trainer, train, model, words } = await trainLlama(options);
  const { accumulate = 1, B = 2 } = options;
  for (let step = 0; step < steps; step++) {
    const whole = someBatch(100 + step, accumulate * B), length = whole.input_ids.length / accumulate;
    const slice = (of: Words, i: number): Words => of.slice(i * length, (i + 1) * length);
    trainer.step(
      [...Array(accumulate).keys()].map((i) => ({
        input_ids: slice(whole.input_ids, i),
        labels: slice(whole.labels, i),
      })),
      0.01,
    );
  }
  const metrics = await trainer.readMetrics();
  assert(metrics.every(({ skipped }) => !skipped), "no step is skipped");
  const trained = model.parameters.filter(({ needsGradient }) => needsGradient);
  const result = {
    labels: model.parameters.map(({ value }) => value.label),
    parameters: await words(model.parameters.map(({ value }) => value)),
    gradients: await words(trained.flatMap((parameter) => train.gradients.get(parameter) ?? [])),
    losses: metrics.map(({ loss }) => loss),
  };
  assertEquals((await testGpu()).uncaptured(), undefined);
  trainer.destroy();
  return result;
}

/** Bound above any norm here: the updates come last, and scale by exactly 1. */
const LAST = { max_grad_norm: 1e30 };

function assertSameBits(a: Trained, b: Trained, what: string): void {
  assertEquals(a.losses, b.losses, `${what}: losses`);
  a.parameters.forEach((words, i) => assertEquals(words, b.parameters[i], `${what}: ${a.labels[i]}`));
}

test("three steps give the same bits again, with other memory too", async () => {
  for (const target of await testTargets()) {
    const first = await train({ target });
    assertSameBits(await train({ target }), first, `${target}, again`);
    assert(
      new Set(first.losses).size === 3 && first.losses.every((loss) => loss > 1 && loss < 10),
      `${first.losses}: three losses of a model that knows nothing`,
    );
    assert(first.parameters.every((words) => words.some((word) => word !== words[0])), "every parameter moves");
  }
});

for (const optim of OPTIMIZERS) {
  test(`${optim}: updates in the backward pass are those at its end, bit by bit`, async () => {
    assertSameBits(await train({ optim }), await train({ optim, ...LAST }), "updates last");
  });
}

test("checkpointing computes the same bits", async () => {
  for (const target of await testTargets()) {
    assertSameBits(
      await train({ target, gradient_checkpointing: true }),
      await train({ target }),
      `${target}, checkpointed`,
    );
  }
  assertSameBits(
    await train({ gradient_checkpointing: true, accumulate: 2 }),
    await train({ accumulate: 2 }),
    "accumulated",
  );
});

test("freezing leaves parameters as they are and changes nobody else's gradient", async () => {
  const all = await train(LAST, 1);
  for (
    const frozen of [
      /layers\.0\.|post/,
      /layers\.2\.|norm\.weight|lm_head/,
      /q_proj|v_proj/,
      /k_proj|up_proj/,
      /gate_proj/,
    ]
  ) {
    const some = await train({ ...LAST, frozen }, 1);
    const trained = all.labels.filter((label) => !frozen.test(label));
    assertEquals(some.gradients.length, trained.length);
    trained.forEach((label, i) =>
      assertEquals(some.gradients[i], all.gradients[all.labels.indexOf(label)], `${frozen}: gradient of ${label}`)
    );
    const start = await train({ ...LAST, frozen }, 0);
    all.labels.forEach((label, i) => {
      const moved = some.parameters[i]!.some((word, at) => word !== start.parameters[i]![at]);
      assertEquals(moved, !frozen.test(label), `${frozen}: ${label} moves`);
    });
  }
});

test("a frozen embedding, which needs no segments of its batch", async () => {
  const { losses } = await train({ frozen: /embed|layers\.[01]\./ }), all = await train({});
  assertEquals(losses[0], all.losses[0]);
  assert(losses[1] !== all.losses[1], "the second loss has seen an update");
});

test("four micro-batches of one sequence are one batch of four", async () => {
  for (const options of [{}, { config: { tie_word_embeddings: true } }]) {
    const four = await train({ ...options, accumulate: 4, B: 1, ...LAST }, 1),
      one = await train({ ...options, accumulate: 1, B: 4, ...LAST }, 1);
    assertClose(four.losses, one.losses, { name: "loss", relative: 1e-6 });
    one.gradients.forEach((words, i) => {
      const [a, b] = [new Float32Array(four.gradients[i]!.buffer), new Float32Array(words.buffer)];
      const largest = b.reduce((max, g) => Math.max(max, Math.abs(g)), 0);
      assert(largest > 1e-5, `${one.labels[i]}: has a gradient`);
      // The same products, added up in another order: a few roundings of the largest of them. Measured: 1e-6 at most.
      assertClose(a, b, { name: `gradient of ${one.labels[i]}`, absolute: 3e-6 * largest });
    });
  }
});

test("portable and tiled kernels train alike, evaluate alike and predict alike", async () => {
  const results = [];
  for (const target of await testTargets()) {
    const { trainer, programs } = await trainLlama({ target, accumulate: 2, max_grad_norm: 0.5 });
    const batches = [someBatch(1, 2), someBatch(2, 2)];
    const lossNow = async (): Promise<number> => (await trainer.evaluate(programs.evaluate, batches)).eval_loss,
      before = await lossNow(),
      logits = await trainer.nextLogits(programs.generate, [5, 6, 7]);
    for (let step = 0; step < 3; step++) trainer.step(batches, 0.01);
    const metrics = await trainer.readMetrics(), after = await lossNow();
    assertClose([metrics[0]!.loss], [before], { name: "the first loss is the evaluation's", relative: 1e-5 });
    assert(after < before, `${target}: the loss falls from ${before}, to ${after}`);
    assertEquals(
      trainer.executor.allocatedBytes,
      bytesByRole(trainer.executor.plan.buffers),
      "planned bytes are allocated",
    );
    assertEquals(programs.generate!.logits.shape, [1, 37]);
    results.push({ numbers: [before, after, ...metrics.flatMap(({ loss, grad_norm }) => [loss, grad_norm])], logits });
    trainer.destroy();
  }
  // Sums in another order, three steps of Adam long, where a gradient near 0 may turn a sign.
  for (const { numbers, logits } of results.slice(1)) {
    assertClose(numbers, results[0]!.numbers, { name: "losses and norms of another target", relative: 1e-4 });
    assertClose(logits, results[0]!.logits, { name: "logits of another target", absolute: 1e-4 });
  }
});

test("a token sees what precedes it only, and every sequence itself only", async () => {
  const { trainer, programs } = await trainLlama({});
  const short = await trainer.nextLogits(programs.generate, [1, 2, 3]),
    long = await trainer.nextLogits(programs.generate, [1, 2, 3, 4]);
  assert(short.some((x, i) => x !== long[i]), "another position, other logits");
  const losses = async (batch: ReturnType<typeof someBatch>): Promise<number> =>
    (await trainer.evaluate(programs.evaluate, [batch])).eval_loss;
  const batch = someBatch(5, 2), T = 9;
  // Only the third token of the first sequence counts: later tokens and the other sequence must not matter, an earlier
  // one must.
  const labels = batch.labels.map((_, i) => (i === 2 ? 11 : 0xffffffff));
  const changed = (at: number) => ({
    input_ids: batch.input_ids.map((id, i) => (i === at ? (id + 1) % 37 : id)),
    labels,
  });
  const base = await losses({ ...batch, labels });
  assertEquals([await losses(changed(3)), await losses(changed(T - 1)), await losses(changed(T + 1))], [
    base,
    base,
    base,
  ]);
  assert(await losses(changed(1)) !== base && await losses(changed(2)) !== base, "what precedes it matters");
  trainer.destroy();
});
