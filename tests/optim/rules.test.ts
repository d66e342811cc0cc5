// Every update rule against its f64 reference, and what it must leave alone.

import { assert, assertClose, assertEquals, random, test } from "../harness.ts";
import { uniform } from "../ops/values.ts";
import type { Reals } from "../reference/ops.ts";
import * as reference from "../reference/optim.ts";
import { EPS } from "../tolerances.ts";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { adamw } from "../../src/optim/adamw.ts";
import { NO_CLIP } from "../../src/optim/clip.ts";
import { stateOf, type UpdateRule } from "../../src/optim/rule.ts";
import { packSchedule, scheduleTensor } from "../../src/optim/schedule.ts";
import { sgd } from "../../src/optim/sgd.ts";
import { signSgd } from "../../src/optim/sign_sgd.ts";
import { Executor } from "../../src/plan/executor.ts";
import { planMemory } from "../../src/plan/memory.ts";
import { type Program, Recorder } from "../../src/plan/recorder.ts";
import { type Tensor, tensor } from "../../src/plan/tensor.ts";

const ADAM = { adam_beta1: 0.9, adam_beta2: 0.95, adam_epsilon: 1e-8, weight_decay: 0.1 };
const PLAIN = { momentum: 0.9, nesterov: false, weight_decay: 0.01 }, NESTEROV = { momentum: 0.8, nesterov: true, weight_decay: 0 };

type Step = (tensors: readonly Reals[], gradient: Reals, lr: number, t: number) => void;
interface Row {
  readonly rule: UpdateRule;
  readonly step: Step;
}

/** A rule is a row here; all tests hold for each. */
const RULES: Readonly<Record<string, Row>> = {
  adamw: { rule: adamw(ADAM), step: (x, g, lr, t) => reference.adamw(x, g, lr, t, ADAM) },
  "adamw, large epsilon": { rule: adamw({ ...ADAM, adam_epsilon: 0.1 }), step: (x, g, lr, t) => reference.adamw(x, g, lr, t, { ...ADAM, adam_epsilon: 0.1 }) },
  sgd: { rule: sgd(PLAIN), step: (x, g, lr) => reference.sgd(x, g, lr, PLAIN) },
  "sgd, nesterov": { rule: sgd(NESTEROV), step: (x, g, lr) => reference.sgd(x, g, lr, NESTEROV) },
  signSgd: { rule: signSgd({ weight_decay: 0.1 }), step: (x, g, lr) => reference.signSgd(x, g, lr, { weight_decay: 0.1 }) },
};

/** Around the workgroup of 64, with and without vectors of four, and past 65 535 workgroups of scalars. */
const SIZES = [1, 2, 3, 4, 63, 64, 65, 255, 256, 257, 1031];
const LARGE = 64 * 65535 + 65;

interface Update {
  readonly program: Program;
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  readonly state: readonly Tensor[];
  readonly schedule: Tensor;
  readonly clip: Tensor;
}

function recordUpdate({ rule }: Row, n: number): Update {
  const r = new Recorder({ variant: "portable", training: true });
  const parameter = tensor("w", [n], "trainable"), gradient = tensor("g", [n], "state");
  const schedule = scheduleTensor("schedule"), clip = tensor("clip", [3], "input", "u32");
  const variable = { value: parameter, needsGradient: true }, state = stateOf(rule, variable);
  rule.record(r, variable, gradient, state, { schedule, clip });
  return { program: { name: "update", steps: r.steps }, parameter, gradient, state, schedule, clip };
}

let opened: Promise<Gpu> | undefined;

/** Plans the updates together and gives an executor whose parameters are written and whose state is zero. */
async function prepare(updates: readonly Update[], starts: readonly Reals[]): Promise<Executor> {
  const executor = await Executor.create(await (opened ??= openGpu()), planMemory(updates.map(({ program }) => program)));
  updates.forEach(({ parameter, state, clip }, i) => {
    executor.write(parameter, new Float32Array(starts[i]!));
    for (const one of state) executor.write(one, new Float32Array(starts[i]!.length));
    executor.write(clip, NO_CLIP);
  });
  return executor;
}

function run(executor: Executor, { program, gradient, schedule }: Update, g: Float32Array<ArrayBuffer>, lr: number, t: number): void {
  executor.write(gradient, g);
  executor.write(schedule, packSchedule({ learning_rate: lr, bias_correction1: 1 - ADAM.adam_beta1 ** t, bias_correction2: 1 - ADAM.adam_beta2 ** t, loss_scale: NaN, metrics_row: 0 }));
  executor.run(program);
}

const bits = (executor: Executor, { parameter, state }: Update): Promise<Uint32Array<ArrayBuffer>[]> =>
  Promise.all([parameter, ...state].map((t) => executor.readWords(t)));

/** f32 numbers that the device will see: the reference starts from the same learning rate. */
const LEARNING_RATES = [0.1, 0.05, 0.2, 0.01, 0.1, 0, 0.03, 0.07, 0.1, 0.02].map(Math.fround);

for (const [name, row] of Object.entries(RULES)) {
  test(`${name}: ten steps against the reference, at every size`, async () => {
    const next = random(11), starts = SIZES.map((n) => uniform(next, n));
    const updates = SIZES.map((n) => recordUpdate(row, n)), executor = await prepare(updates, starts);
    const expected = updates.map(({ state }, i) => [starts[i]!.slice(), ...state.map(() => new Float64Array(SIZES[i]!))]);
    for (const [s, lr] of LEARNING_RATES.entries()) {
      updates.forEach((update, i) => {
        const gradient = uniform(next, SIZES[i]!, s % 2 === 0 ? 1 : 1e-3);
        if (s === 3) gradient[0] = 0;
        run(executor, update, new Float32Array(gradient), lr, s + 1);
        row.step(expected[i]!, gradient, lr, s + 1);
      });
    }
    const actual = await Promise.all(updates.map(async ({ parameter, state }) => Promise.all([parameter, ...state].map((t) => executor.read(t)))));
    for (const [i, tensors] of actual.entries()) tensors.forEach((values, which) => {
      // Ten steps of a handful of roundings each, relative to the largest number that an element has met, about 1. Adam divides by
      // sqrt(v), whose error is a share of the step. A second-moment estimate is relative to itself: it only ever adds up.
      const close = which === 2 ? { relative: 20 * EPS } : { absolute: 20 * EPS };
      assertClose(values, expected[i]![which]!, { name: `${name} of ${SIZES[i]}, ${["parameter", ...row.rule.state][which]}`, ...close });
    });
    executor.destroy();
  });

  test(`${name}: NaN and infinite gradients leave their element alone, and no other`, async () => {
    for (const n of [9, 64]) { // scalars and vectors of four
      const start = uniform(random(12), n), g = new Float32Array(uniform(random(13), n)), bad = new Uint32Array(g.slice().buffer);
      const places = new Map([[1, 0x7fc00000], [3, 0x7f800000], [4, 0xff800000], [7, 0xffffffff], [8, 0x7f800001]]);
      for (const [at, word] of places) bad[at] = word;
      const updates = [recordUpdate(row, n), recordUpdate(row, n)], executor = await prepare(updates, [start, start]);
      run(executor, updates[0]!, g, 0.1, 1);
      run(executor, updates[1]!, g, 0.1, 1);
      const before = await bits(executor, updates[1]!);
      run(executor, updates[0]!, g, 0.1, 2);
      run(executor, updates[1]!, new Float32Array(bad.buffer), 0.1, 2);
      const [clean, spoilt] = [await bits(executor, updates[0]!), await bits(executor, updates[1]!)];
      spoilt.forEach((words, which) => words.forEach((word, i) => {
        const want = places.has(i) ? before[which]![i]! : clean[which]![i]!;
        assertEquals(word, want, `${name} of ${n}, tensor ${which}, element ${i}`);
      }));
      assert(clean[0]!.every((word, i) => word !== before[0]![i]), "the clean run moves every element");
      executor.destroy();
    }
  });

  test(`${name}: clip.skip changes nothing, clip.scale scales the gradient exactly`, async () => {
    const n = 67, start = uniform(random(14), n), g = new Float32Array(uniform(random(15), n));
    const updates = [recordUpdate(row, n), recordUpdate(row, n)], executor = await prepare(updates, [start, start]);
    const [clipped, plain] = updates as [Update, Update];
    const clip = (scale: number, skip: number) => Uint32Array.of(...new Uint32Array(Float32Array.of(3, scale).buffer), skip);
    executor.write(clipped.clip, clip(0.25, 0));
    run(executor, clipped, g, 0.1, 1);
    run(executor, plain, g.map((x) => x / 4), 0.1, 1);
    const before = await bits(executor, clipped);
    assertEquals(before, await bits(executor, plain), "a quarter of the gradient");
    executor.write(clipped.clip, clip(0.25, 1));
    run(executor, clipped, g, 0.1, 2);
    assertEquals(await bits(executor, clipped), before, "skipped");
    executor.destroy();
  });
}

test("every rule reaches past 65 535 workgroups", async () => {
  const rows = [RULES["adamw"]!, RULES["sgd"]!, RULES["signSgd"]!];
  const updates = rows.map((row) => recordUpdate(row, LARGE)), start = new Float64Array(LARGE).fill(0.5);
  for (const [i, update] of updates.entries()) {
    assert(update.program.steps[0]!.grid[1] > 1, "the grid has two dimensions");
    const executor = await prepare([update], [start]), g = new Float32Array(LARGE).fill(0.25);
    run(executor, update, g, 0.125, 1);
    const words = await executor.readWords(update.parameter), expected = [Float64Array.of(0.5), Float64Array.of(0), Float64Array.of(0)];
    rows[i]!.step(expected, Float64Array.of(0.25), 0.125, 1);
    const first = new Float32Array(words.buffer)[0]!;
    assertClose([first], expected[0]!, { name: "the first element", absolute: 4 * EPS });
    const other = words.findIndex((word) => word !== words[0]);
    assertEquals(other, -1, "an element that differs from the first");
    executor.destroy();
  }
});
