// The updates of a work's parameters alone, without a forward and a backward pass: AdamW beside those that shall not be
// slower.
// All update the same weights by the same gradients, in the adapter's caches as far as they hold them, which favours
// all alike.

import type { Gpu } from "../../src/gpu/device.ts";
import { countParameters } from "../../src/models/parameter.ts";
import { NO_CLIP, noClip } from "../../src/optim/step/clip.ts";
import type { OptimizerName } from "../../src/optim/presets.ts";
import { packSchedule, scheduleTensor } from "../../src/optim/step/schedule.ts";
import { Executor } from "../../src/plan/executor.ts";
import { planMemory } from "../../src/plan/memory.ts";
import { type Program, Recorder, type Step } from "../../src/plan/recorder.ts";
import { tensor } from "../../src/plan/tensor.ts";
import { parseConfig } from "../../src/recipe/config/config.ts";
import { optimizerOf } from "../../src/recipe/run.ts";
import { type Clock, type ClockKind, longEnough } from "./clock.ts";
import { costOf } from "./costs.ts";
import { planWork } from "./scrimp.ts";
import { initialWeights, type Work } from "./works.ts";

export interface UpdateTimes {
  readonly optimizer: OptimizerName;
  readonly dispatches: number;
  readonly bytes: number;
  /** Milliseconds of one update of all parameters, a number for each round. */
  readonly milliseconds: number[];
}

export interface UpdatesReport {
  readonly clock: ClockKind;
  readonly parameters: number;
  /** Updates in one compute pass. */
  readonly repeats: number;
  /** The first is AdamW's, and so is the last: how far the two are apart is noise. */
  readonly rows: readonly UpdateTimes[];
}

const COMPARED = ["adamw", "frugal", "sign_sgd"] as const;
const ROUNDS = 25;
/** As few of them in a pass as make it long enough to be timed. */
const REPEATS = [1, 4, 16, 64];

export async function measureUpdates(
  gpu: Gpu,
  work: Work,
  clock: Clock,
  availableBytes: number,
): Promise<UpdatesReport> {
  const { model } = planWork(gpu, work, 1, availableBytes), { name: _name, ...settings } = work;
  const gradients = new Map(
    model.parameters.map((
      parameter,
    ) => [parameter, tensor(`d(${parameter.value.label})`, parameter.value.shape, "state")]),
  );
  const schedule = scheduleTensor("schedule"), clip = noClip();
  const updates = COMPARED.map((name) => {
    const optimizer = optimizerOf(parseConfig({ ...settings, tokenizer: "byte", optim: name }), model);
    const r = new Recorder({ target: gpu.target, training: true });
    for (const [parameter, gradient] of gradients) {
      optimizer.record(r, optimizer.stepKinds[0]!, parameter, gradient, { schedule, clip });
    }
    return { name, optimizer, steps: r.steps, many: REPEATS.map((count) => repeated(name, r.steps, count)) };
  });

  const executor = await Executor.create(gpu, planMemory(updates.flatMap(({ many }) => many)));
  const weights = initialWeights(work);
  for (const [{ value }, gradient] of gradients) {
    const data = new Float32Array(weights.get(value.label)!.data);
    executor.write(value, data);
    // Weights do for gradients: they are normal, and none is so small that its square would be denormal.
    executor.write(gradient, data);
  }
  executor.write(clip, NO_CLIP);
  executor.write(schedule, packSchedule({ learning_rate: work.learning_rate, loss_scale: 1, metrics_row: 0 }));
  // The first step draws the subspaces; in the second and later ones moments no longer begin anew.
  for (let step = 0; step < 2; step++) {
    for (const { optimizer, many } of updates) {
      executor.writeInputs(optimizer.at(step).inputs);
      executor.run(many[0]!);
    }
  }

  // As many for all as the quickest needs.
  const counts: number[] = [];
  for (const { many } of updates) counts.push(many.indexOf(await longEnough(clock, executor, many)));
  const chosen = Math.max(...counts), contestants = [...updates, updates[0]!];
  const times = contestants.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, { many }] of contestants.entries()) {
      times[i]!.push(await clock.time(() => executor.run(many[chosen]!)) / REPEATS[chosen]!);
    }
  }
  executor.destroy();
  const rows = contestants.map(({ name, steps }, i) => ({
    optimizer: name,
    dispatches: steps.length,
    bytes: steps.reduce((sum, step) => sum + costOf(step).bytes, 0),
    milliseconds: times[i]!,
  }));
  return { clock: clock.kind, parameters: countParameters(model.parameters), repeats: REPEATS[chosen]!, rows };
}

const repeated = (name: string, steps: readonly Step[], count: number): Program => ({
  name,
  steps: Array<readonly Step[]>(count).fill(steps).flat(),
});
