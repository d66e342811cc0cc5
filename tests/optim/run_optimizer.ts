// Drives real Optimizers through training steps, many of them in one executor, and tells what each has chosen.

import { assert, assertEquals, random } from "../harness.ts";
import { floats, portable, realsOf, runTurns, stepInputWords } from "./basis/run_basis.ts";
import type { Words } from "../ops/run_op.ts";
import { uniform } from "../ops/values.ts";
import { createGrid, type Grid as ReferenceGrid, type GridCase } from "../reference/grid.ts";
import type { Chosen, Split } from "../reference/grid_split.ts";
import type { Reals } from "../reference/ops.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import { copyTensor } from "../../src/ops/elementwise.ts";
import { randomNormal } from "../../src/optim/split/basis/normal.ts";
import { NO_CLIP, noClip } from "../../src/optim/step/clip.ts";
import { stepInputsTensor } from "../../src/optim/step/step_inputs.ts";
import type { OptimizerSpec } from "../../src/optim/optimizer_spec.ts";
import { sidesOf } from "../../src/optim/split/low_rank.ts";
import { Optimizer } from "../../src/optim/optimizer.ts";
import type { OptimizerSettings } from "../../src/optim/plan_update.ts";
import { packSchedule, scheduleTensor } from "../../src/optim/step/schedule.ts";
import { Executor } from "../../src/plan/executor.ts";
import { planMemory } from "../../src/plan/memory.ts";
import { type Program, Recorder, type Variable } from "../../src/plan/recorder.ts";
import { size, type Tensor, tensor } from "../../src/plan/tensor.ts";
import { testGpu } from "../test_gpu.ts";

export type Shape = readonly [number, number];

/** All exact in f32, so that the device and the reference start from the same numbers. */
export const LEARNING_RATE = Math.fround(0.01);
export const SETTINGS: OptimizerSettings = {
  adam_beta1: Math.fround(0.9),
  adam_beta2: Math.fround(0.99),
  adam_epsilon: null,
  momentum: Math.fround(0.9),
  weight_decay: Math.fround(0.1),
  seed: 5,
  max_steps: 100,
  optim_target_modules: null,
  state_free_modules: [],
};

/** One optimizer and the parameters it has. */
export interface Subject {
  readonly name: string;
  readonly spec: OptimizerSpec;
  readonly settings: OptimizerSettings;
  readonly optimizer: Optimizer;
  readonly variables: readonly Variable[];
  /** Which gradients it gets, where not all get the same. */
  readonly twin: string;
}

/**
 * Parameters w0, w1, … under an optimizer. Whatever is drawn at random depends on these names: subjects of equal shapes
 * draw the same.
 */
export function subject(
  name: string,
  spec: OptimizerSpec,
  shapes: readonly (readonly number[])[],
  changes: Partial<OptimizerSettings> = {},
  twin = "",
): Subject {
  const settings = { ...SETTINGS, momentum: spec.momentum, ...changes };
  const variables = shapes.map((shape, i) => ({
    value: tensor(`w${i}`, shape, "trainable"),
    needsGradient: true,
    kind: "linear" as const,
  }));
  return {
    name,
    spec,
    settings,
    variables,
    twin,
    optimizer: new Optimizer(variables, spec, settings),
  };
}

/** The inputs of one step, beside those of the optimizers. */
export interface StepOptions {
  /** Gradient of parameter w`index`: the same for all subjects, or for twins. */
  readonly gradient: (index: number, n: number, twin: string) => Float32Array<ArrayBuffer>;
  readonly clip?: Words;
  /** Inputs that replace what an optimizer says. */
  readonly replace?: (one: Subject, inputs: ReadonlyMap<Tensor, Words>) => ReadonlyMap<Tensor, Words>;
}

/** Subjects on the device. */
export interface Stage {
  readonly executor: Executor;
  /** Runs step number 0, 1, … of all subjects at once; gives the inputs of each. */
  step(number: number, options: StepOptions): ReadonlyMap<Subject, ReadonlyMap<Tensor, Words>>;
  weights(one: Subject, index?: number): Promise<Words>;
  /** Bits of every state tensor of one parameter, in the order of its optimizer. */
  state(one: Subject, index?: number): Promise<Words[]>;
}

/** Where every parameter starts. */
export const startOf = (index: number, n: number): Float32Array<ArrayBuffer> =>
  new Float32Array(uniform(random(100 + index), n));

/** Records all subjects into one program for each kind of step, and gives `body` their stage. State is 0 at first. */
export async function withSubjects<T>(
  target: KernelTarget,
  subjects: readonly Subject[],
  body: (stage: Stage) => Promise<T>,
): Promise<T> {
  const gpu = await testGpu(), schedule = scheduleTensor("schedule"), clip = noClip();
  const sources = new Map<string, { readonly tensor: Tensor; readonly index: number; readonly twin: string }>();
  const sourceOf = (twin: string, index: number, { shape }: Tensor): Tensor => {
    const key = `gradient ${twin} ${index} ${shape}`;
    if (!sources.has(key)) sources.set(key, { index, twin, tensor: tensor(key, shape, "state") });
    return sources.get(key)!.tensor;
  };
  const programs = new Map<string, Program>();
  for (const kind of new Set(["train", ...subjects.flatMap(({ optimizer }) => optimizer.stepKinds)])) {
    const r = new Recorder({ target, training: true });
    for (const { optimizer, variables, twin } of subjects) {
      const own = optimizer.stepKinds.includes(kind) ? kind : optimizer.stepKinds[0]!;
      // Updates may overwrite their gradient.
      variables.forEach((variable, i) =>
        optimizer.record(r, own, variable, copyTensor(r, sourceOf(twin, i, variable.value)), { schedule, clip })
      );
    }
    programs.set(kind, { name: kind, steps: r.steps });
  }
  const executor = await Executor.create(gpu, planMemory([...programs.values()]));
  try {
    for (const { optimizer, variables } of subjects) {
      variables.forEach(({ value }, i) => executor.write(value, startOf(i, size(value))));
      for (const [table, values] of optimizer.constants) executor.write(table, values);
    }
    const result = await body({
      executor,
      step(number, { gradient, clip: clipWords = NO_CLIP, replace = (_, inputs) => inputs }) {
        for (const { tensor, index, twin } of sources.values()) {
          executor.write(tensor, gradient(index, size(tensor), twin));
        }
        const requested = subjects.map((one) => ({ one, ...one.optimizer.at(number) }));
        const kind = requested.find(({ stepKind }) => stepKind !== "train")?.stepKind ?? "train";
        for (const { one, stepKind } of requested) {
          assert(
            stepKind === kind || !one.optimizer.stepKinds.includes(kind),
            `${one.name}: step ${number} is ${stepKind}, for others ${kind}`,
          );
        }
        const inputs = new Map(requested.map(({ one, inputs }) => [one, replace(one, inputs)]));
        const own = [...inputs.values()].flatMap((words) => [...words]),
          rate = packSchedule({ learning_rate: LEARNING_RATE, loss_scale: 1, metrics_row: 0 });
        executor.writeInputs(new Map([...own, [clip, clipWords], [schedule, rate]]));
        executor.run(programs.get(kind)!);
        return inputs;
      },
      weights: (one, index = 0) => executor.readWords(one.variables[index]!.value),
      state: (one, index = 0) =>
        Promise.all(one.optimizer.state.get(one.variables[index]!)!.map((state) => executor.readWords(state))),
    });
    assertEquals(gpu.uncaptured(), undefined, "WebGPU error outside any scope");
    return result;
  } finally {
    executor.destroy();
  }
}

// ---- the reference ----------------------------------------------------------------------------------------------

/** The f64 reference of one matrix of a subject. */
export function referenceOf({ spec, settings }: Subject, [m, n]: Shape): ReferenceGrid {
  const sides = sidesOf(spec.proj_type, [m, n]);
  const split = spec.split === "low_rank" ? (sides.length === 2 ? "full" : sides[0]!) : spec.split as Split;
  const own: Partial<GridCase> = {
    split,
    state_free: spec.inactive_update_rule,
    moments: spec.switch_moments,
    decay: spec.decay,
    weight_decay: settings.weight_decay,
    ...(spec.active_update_rule === "none" ? {} : { state_full: spec.active_update_rule }),
    lr_scale: spec.proj_params_lr_scale,
    inactive_lr_scale: spec.inactive_lr_scale,
    scale: spec.scale,
    scale_type: spec.scale_type,
    scale_front: spec.scale_front,
    limiter: !spec.disable_nl,
    adam_beta1: settings.adam_beta1,
    adam_beta2: settings.adam_beta2,
    momentum: settings.momentum,
    nesterov: spec.nesterov,
  };
  return createGrid(own, m, n);
}

/** Positions of packSelection(). */
export const unpackSelection = (words: Words, total: number): number[] =>
  [...Array(total).keys()].filter((i) => (words[i >> 4]! >>> (i & 15)) & 1);
/** Ones of a mask of bits. */
export const unpackMask = (words: Words, total: number): number[] =>
  [...Array(total).keys()].filter((i) => (words[i >> 5]! >>> (i & 31)) & 1);

/** Words of struct StepInputs. */
const COUNT = 5, DRAWN = 6;

/** The choice for a matrix by a switch that has just run. `read` gives the bits of a state tensor. */
export async function chosenBy(
  one: Subject,
  index: number,
  inputs: ReadonlyMap<Tensor, Words>,
  read: (state: Tensor) => Promise<Words>,
): Promise<Chosen> {
  const { spec, settings, optimizer, variables } = one,
    variable = variables[index]!,
    [m, n] = variable.value.shape as unknown as Shape;
  const { label } = variable.value, state = optimizer.state.get(variable)!;
  const inputOf = (name: string): Words => [...inputs].find(([{ label }]) => label === name)![1];
  const step_inputs = [...inputs].find(([{ label }]) => label.startsWith("step inputs "))![1];
  switch (spec.split) {
    case "columns":
    case "rows":
      return { indices: unpackSelection(inputOf(`${label}.selection`), spec.split === "rows" ? m : n) };
    case "randk":
      return { indices: unpackMask(await read(state.find(({ label }) => label.endsWith(".mask"))!), m * n) };
    case "blocks":
      return { active: inputOf(`step inputs ${label}`)[COUNT]! > 0 };
    case "low_rank": {
      const bases = sidesOf(spec.proj_type, [m, n]).map(async (side) =>
        [side, await basisOf(`${label}.${side}`, side === "left" ? m : n)] as const
      );
      return Object.fromEntries(await Promise.all(bases));
    }
    default:
      return {};
  }
  async function basisOf(name: string, length: number): Promise<Reals> {
    if (spec.proj === "random") {
      return normalBasis(`basis ${name}`, length, spec.rank!, settings.seed, step_inputs[DRAWN]!);
    }
    const found = state.find(({ label }) => label.startsWith(`${name}.`))!, words = await read(found);
    return spec.proj === "dct" ? cosineBasis(length, words) : realsOf(words);
  }
}

const drawnBases = new Map<string, Promise<Reals>>();

/** APOLLO's (length, k), drawn once more on the device: adapters round sines and logarithms as they like. */
function normalBasis(purpose: string, length: number, k: number, seed: number, drawn: number): Promise<Reals> {
  const key = [purpose, length, k, seed, drawn].join();
  if (!drawnBases.has(key)) drawnBases.set(key, draw());
  return drawnBases.get(key)!;
  async function draw(): Promise<Reals> {
    const out = floats("basis", length, k), step_inputs = stepInputsTensor("step inputs");
    const record = (r: Recorder): void =>
      randomNormal(r, out, step_inputs, { deviation: 1 / Math.sqrt(k), seed, purpose });
    const [[words] = []] = await runTurns(await portable(), record, [
      new Map([[step_inputs, stepInputWords({ drawn })]]),
    ], [out]);
    return realsOf(words!);
  }
}

/** The columns of the DCT-II that the indices name. */
const cosineBasis = (length: number, indices: Words): Reals =>
  Float64Array.from({ length: length * indices.length }, (_, i) => {
    const row = Math.floor(i / indices.length), frequency = indices[i % indices.length]!;
    return Math.sqrt((frequency ? 2 : 1) / length) * Math.cos((Math.PI * (2 * row + 1) * frequency) / (2 * length));
  });
