// Adapters that are merged into their weights on the way (ReLoRA).

import { assert, assertClose, assertEquals, test } from "../harness.ts";
import { contextOf, openTiny } from "../recipe/resume/checkpoints.ts";
import { NEVER, ofType, prepareTiny, type Settings } from "./tiny.ts";
import { blobSource } from "../../src/checkpoint/source/blob.ts";
import { linearLayers } from "../../src/models/parts.ts";
import type { TrainEvent } from "../../src/train/events.ts";
import { train } from "../../src/train/loop.ts";
import { mergeAdapters } from "../../src/train/relora.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import type { Resumed } from "../../src/train/progress.ts";
import { encodeTraining, openTraining } from "../../src/recipe/training_file.ts";
import { testGpu } from "../test_gpu.ts";

const RELORA = {
  peft: "lora r=4 lora_alpha=16 target_modules=all-linear",
  relora_steps: 3,
  max_steps: 7,
  initializer_range: 0.1,
};

/** The work of a ReLoRA hook. */
async function mergeNow(trainer: Trainer, seed: number): Promise<void> {
  await mergeAdapters(trainer.executor, trainer.model, seed, trainer.steps);
  trainer.restartMoments();
}

test("merging keeps the logits, makes B zeros and A new, and moves the weights beside them only", async () => {
  const { run, trainer, go } = await openTiny(RELORA), { executor } = trainer, layers = linearLayers(run.model);
  const words = () => Promise.all(run.model.parameters.map(({ value }) => executor.readWords(value)));
  const logits = () => trainer.nextLogits(run.programs.generate!, [79, 110, 32, 100]);
  const numbers = () =>
    Promise.all(
      layers.map(async ({ weight, lora }) => ({
        w: await executor.read(weight.value),
        a: await executor.read(lora!.a.value),
        b: await executor.read(lora!.b.value),
      })),
    );
  const untrained = await logits();
  go(3);
  for (const merge of [1, 2]) {
    const before = { logits: await logits(), words: await words(), numbers: await numbers() };
    assert(before.numbers.every(({ b }) => b.some((x) => Math.abs(x) > 1e-3)), `merge ${merge}: some B is not trained`);
    assert(before.logits.some((x, i) => Math.abs(x - untrained[i]!) > 0.01), "the adapters make no difference");
    await mergeNow(trainer, run.config.seed);
    const after = await logits(), largest = before.logits.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
    // Each weight is rounded once more, to 6e-8 of it, and sums have another order: some roundings of f32 on the way to
    // a logit.
    assertClose(after, before.logits, { name: `logits after merge ${merge}`, absolute: 1e-5 * largest });
    (await numbers()).forEach(({ w, a, b }, i) => {
      const { name, lora } = layers[i]!,
        old = before.numbers[i]!,
        bound = Math.fround(1 / Math.sqrt(lora!.a.value.shape[1]!));
      assert(b.every((x) => Object.is(x, 0)), `${name}: B is not zeros`);
      assert(a.every((x, at) => x !== old.a[at] && Math.abs(x) <= bound), `${name}: A is not drawn anew`);
      assert(a.some((x) => Math.abs(x) > bound / 2), `${name}: A is small`);
      assert(w.some((x, at) => x !== old.w[at]), `${name}: the weight has not moved`);
    });
    const merged = new Set(
      layers.flatMap(({ weight, lora }) => [weight, lora!.a, lora!.b].map(({ value }) => value.label)),
    );
    const now = await words();
    run.model.parameters.forEach(({ value: { label } }, i) => {
      if (!merged.has(label)) assertEquals(now[i], before.words[i], `${label} has nothing to be merged`);
    });
    go(3);
  }
  trainer.destroy();
});

test(
  "the weights that adapters are merged into have no gradient and no state, but are saved; " +
    "moments begin anew",
  async () => {
    const { run, trainer, go } = await openTiny(RELORA),
      layers = linearLayers(run.model),
      { train: program } = run.programs;
    assert(
      layers.every(({ weight }) => !weight.needsGradient && weight.value.role === "trainable"),
      "a weight is not what it should be",
    );
    assertEquals(program.gradients.size, 2 * layers.length);
    const names = trainer.layout.filter(({ role }) => role === "trainable").map(({ name }) => name).sort();
    assertEquals(
      names,
      layers.flatMap(({ weight, lora }) => [weight, lora!.a, lora!.b].map(({ value }) => value.label)).sort(),
    );
    go(3);
    const weight = layers[0]!.weight.value, before = await trainer.executor.readWords(weight);
    await mergeNow(trainer, run.config.seed);
    const merged = await trainer.executor.readWords(weight);
    go(2);
    assertEquals(await trainer.executor.readWords(weight), merged, "a step changes the weight");
    assert(merged.some((word, i) => word !== before[i]), "nothing was merged");
    trainer.destroy();
  },
);

interface Reported {
  readonly events: readonly TrainEvent[];
  readonly weights: readonly Uint32Array[];
}

async function trainFrom(settings: Settings, resumed?: Resumed): Promise<Reported> {
  const gpu = await testGpu(), run = prepareTiny(gpu, settings), events: TrainEvent[] = [];
  const trainer = await train(gpu, run, NEVER, (event) => void events.push(event), { resumed });
  const weights = await Promise.all(run.model.parameters.map(({ value }) => trainer.executor.readWords(value)));
  trainer.destroy();
  return { events, weights };
}

test(
  "a run that merges every third step learns, with a learning rate that recovers, and resumes bit by bit, from " +
    "before, at and after a merge",
  async () => {
    const settings = {
      ...RELORA,
      save_steps: 1,
      logging_steps: 1,
      learning_rate: 0.02,
      lr_scheduler_type: "constant",
      warmup_steps: 0,
    };
    const gpu = await testGpu(),
      whole = await trainFrom(settings),
      states = ofType(whole.events, "checkpoint"),
      steps = ofType(whole.events, "step");
    assertEquals(states.map(({ step }) => step), [1, 2, 3, 4, 5, 6, 7]);
    // A thousandth at the restart, then up in nine steps; the next restart comes before that.
    const rising = (since: number): number => 0.02 * (0.001 + (0.999 * since) / 9);
    assertClose(steps.map(({ learning_rate }) => learning_rate), [
      0.02,
      0.02,
      0.02,
      rising(0),
      rising(1),
      rising(2),
      rising(0),
    ], { name: "learning rates", relative: 1e-12 });
    assert(steps.at(-1)!.loss < steps[0]!.loss, "nothing is learnt");
    for (const { step, state } of states.slice(1, 4)) {
      const run = prepareTiny(gpu, settings),
        pieces = await Array.fromAsync(encodeTraining(state, run.config, contextOf(run)));
      const opened = await openTraining(blobSource("checkpoint.safetensors", new Blob(pieces)), run, contextOf(run));
      const rest = await trainFrom(settings, opened);
      assertEquals(
        ofType(rest.events, "step").map(({ step, loss, grad_norm }) => ({ step, loss, grad_norm })),
        steps.slice(step).map(({ step, loss, grad_norm }) => ({ step, loss, grad_norm })),
        `resumed after ${step}`,
      );
      assertEquals(rest.weights, whole.weights, `weights, resumed after ${step}`);
    }
  },
);
