// Dropout of attention's probabilities in training, and nowhere else.

import { assert, assertEquals, random, test } from "../harness.ts";
import { testTargets } from "../ops/run_op.ts";
import { integers } from "../ops/values.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import { trainedParameters } from "../../src/models/parameter.ts";
import { createModel } from "../../src/models/model.ts";
import { Optimizer } from "../../src/optim/optimizer.ts";
import { resolveOptimizer } from "../../src/optim/presets.ts";
import { planPrograms, recordEvaluate, recordTrain } from "../../src/train/programs.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { ADAM } from "./run_llama.ts";
import { SMALL } from "./small_models.ts";
import { testGpu } from "../test_gpu.ts";

const B = 2, T = 9, STEPS = 3;

interface Options {
  readonly target: KernelTarget;
  /** Seed of dropout; undefined: without. */
  readonly seed?: number | undefined;
  readonly gradient_checkpointing?: boolean;
}

/** Programs of a model without any dropout but that of the probabilities. */
function programsOf(family: "roberta" | "bert" | "gpt2", { target, seed, gradient_checkpointing = false }: Options) {
  const none = { hidden_dropout_prob: 0, classifier_dropout: 0, embd_pdrop: 0, resid_pdrop: 0 };
  const model = createModel({ ...SMALL[family], ...none, attention_probs_dropout_prob: 0.5, attn_pdrop: 0.5 }),
    common = { target, model, tables: {}, B, T, packed: true };
  const optimizer = new Optimizer(trainedParameters(model), resolveOptimizer("adamw", {}), {
    ...ADAM,
    momentum: 0.9,
    seed: 1,
    max_steps: 100,
    optim_target_modules: null,
    state_free_modules: [],
  });
  const train = recordTrain({
    ...common,
    dropout_seed: seed,
    gradient_accumulation_steps: 1,
    gradient_checkpointing,
    max_grad_norm: 1,
    optimizer,
    metrics_rows: STEPS,
  });
  return { model, programs: { train, evaluate: recordEvaluate(common) } };
}

/** Losses of evaluation, of steps, and of evaluation once more. Two documents in each sequence. */
async function lossesOf(options: Options): Promise<readonly number[]> {
  const { model, programs } = programsOf("roberta", options), next = random(5);
  const documents = Uint32Array.from({ length: 2 * B * T }, (_, i) => ((i >> 1) % T < 4 ? [0, 4] : [4, T])[i % 2]!);
  const batches = [{ input_ids: integers(next, B * T, 37), labels: integers(next, B, 3), documents }];
  const trainer = await Trainer.create(await testGpu(), model, programs, planPrograms(programs), { seed: 1 });
  const first = (await trainer.evaluate(programs.evaluate, batches)).eval_loss;
  for (let step = 0; step < STEPS; step++) trainer.step(batches, 0.01);
  const steps = await trainer.readMetrics(), last = (await trainer.evaluate(programs.evaluate, batches)).eval_loss;
  trainer.destroy();
  return [first, ...steps.map(({ loss }) => loss), last];
}

test("RoBERTa: dropout of the probabilities is a function of the seed, and leaves evaluation alone", async () => {
  for (const target of await testTargets()) {
    const plain = await lossesOf({ target }),
      one = await lossesOf({ target, seed: 1 }),
      other = await lossesOf({ target, seed: 2 });
    assert(one.every(Number.isFinite), `${target}: ${one}`);
    assertEquals(await lossesOf({ target, seed: 1 }), one, `${target}: the same seed`);
    assertEquals(
      await lossesOf({ target, seed: 1, gradient_checkpointing: true }),
      one,
      `${target}: layers recorded twice draw the same masks`,
    );
    assertEquals([one[0], other[0]], [plain[0], plain[0]], `${target}: evaluation before any step`);
    for (let i = 1; i < one.length; i++) {
      assertEquals(
        new Set([one[i], other[i], plain[i]]).size,
        3,
        `${target}: losses ${i} of two seeds and of none: ${one[i]}, ${other[i]}, ${plain[i]}`,
      );
    }
  }
});

test("each layer has a mask of its own, the same forward and backward; evaluation has none", () => {
  for (const family of ["roberta", "bert", "gpt2"] as const) {
    for (const gradient_checkpointing of [false, true]) {
      const { train, evaluate } = programsOf(family, { target: "tiled", seed: 1, gradient_checkpointing }).programs;
      const keys = train.steps.filter(({ kernel }) => kernel.name === "dropout").map(({ params }) =>
        `${params["key0"]} ${params["key1"]} ${params["size"]}`
      );
      const [first, second] = keys as [string, string];
      assert(first !== second && first.endsWith(` ${B * 4 * T * T}`), `${family}: ${keys}`);
      // A layer that is recorded again draws forward a second time, before it goes backward.
      assertEquals(
        keys,
        gradient_checkpointing ? [first, second, second, second, first, first] : [first, second, second, first],
        family,
      );
      assertEquals(
        evaluate.steps.filter(({ kernel }) => /^(dropout|softmax)/.test(kernel.name)).length,
        0,
        `${family}: evaluation`,
      );
    }
  }
});
