import type { Gpu } from "../../src/gpu/device.ts";
import { NO_CLIP, noClip } from "../../src/optim/step/clip.ts";
import { DEFAULT_SPEC, type OptimizerSpec } from "../../src/optim/optimizer_spec.ts";
import { sidesOf } from "../../src/optim/split/low_rank.ts";
import { Optimizer } from "../../src/optim/optimizer.ts";
import { resolveOptimizer } from "../../src/optim/presets.ts";
import { packSchedule, scheduleTensor } from "../../src/optim/step/schedule.ts";
import { packSelection } from "../../src/optim/split/subset.ts";
import { Executor } from "../../src/plan/executor.ts";
import { planMemory } from "../../src/plan/memory.ts";
import { Recorder } from "../../src/plan/recorder.ts";
import { type Tensor, tensor } from "../../src/plan/tensor.ts";
import { type OracleCase, oracleCase, type ReadFile, readJson } from "./files.ts";

type Config = Readonly<Record<string, number | boolean | string>>;

interface Case {
  readonly name: string;
  readonly method: string;
  readonly shape: [number, number];
  readonly config: Config;
  readonly initial: number[];
  readonly gradients: number[][];
  readonly weights: number[][];
  /** The projector, or the sorted indices, at each switch. */
  readonly chosen: readonly { readonly shape: readonly number[]; readonly values: readonly number[] }[];
}

/** The tolerance as a share of the largest weight, as the fixture says. */
const TOLERANCE = 1e-5;

const frugal = (split: OptimizerSpec["split"]) => (c: Config): OptimizerSpec =>
  resolveOptimizer("frugal", { split, ...frugalArgs(c) });
const frugalArgs = (c: Config): Partial<OptimizerSpec> => ({
  density: Number(c["density"]),
  inactive_update_rule: c["inactive_update_rule"] as OptimizerSpec["inactive_update_rule"],
  inactive_lr_scale: Number(c["inactive_lr_scale"] ?? 1),
  switch_moments: c["reset_statistics"] === false ? "keep" : "reset",
});
const lowRank = (c: Config): Partial<OptimizerSpec> => ({ rank: Number(c["rank"]), proj: "svd" });

/** The point of the grid that a method of the fixture is. */
const SPECS: Readonly<Record<string, (config: Config) => OptimizerSpec>> = {
  adamw: () => resolveOptimizer("adamw", {}),
  adam_hf: () => ({ ...DEFAULT_SPEC, active_update_rule: "adam_hf", decay: "after" }),
  lion: () => resolveOptimizer("lion", {}),
  sgd: (c) => resolveOptimizer("sgd", { momentum: Number(c["momentum"] ?? 0), nesterov: c["nesterov"] === true }),
  signsgd: () => resolveOptimizer("sign_sgd", {}),
  normalized: () => resolveOptimizer("scale", {}),
  galore: (c) =>
    resolveOptimizer("galore", {
      ...lowRank(c),
      scale: Number(c["scale"]),
      proj_type: c["proj_type"] as OptimizerSpec["proj_type"],
    }),
  fira: (c) => resolveOptimizer("fira", { ...lowRank(c), scale: Number(c["alpha"]) }),
  // A given projector is a state of its own, which a random one is not.
  apollo: (c) =>
    resolveOptimizer("apollo", {
      ...lowRank(c),
      scale: Number(c["scale"]),
      scale_type: c["scale_type"] as OptimizerSpec["scale_type"],
      scale_front: c["scale_front"] === true,
    }),
  frugal_svd: frugal("low_rank"),
  frugal_columns: frugal("columns"),
  frugal_rows: frugal("rows"),
  frugal_randk: frugal("randk"),
};

/** True if a method of the file has a spec here. The others are reported as not replayed. */
export const hasRule = (method: string): boolean => method in SPECS;

/** Replays the trajectories of update rules on given gradients. */
export async function replayOptimizers(
  gpu: Gpu,
  read: ReadFile,
  path: string,
): Promise<{ cases: OracleCase[]; unsupported: string[] }> {
  const { cases } = await readJson(read, path) as { cases: Case[] };
  const supported = cases.filter(({ method }) => hasRule(method));
  const results: OracleCase[] = [];
  for (const one of supported) results.push(oracleCase(one.name, await replay(gpu, one), TOLERANCE));
  return {
    cases: results,
    unsupported: [...new Set(cases.map(({ method }) => method).filter((method) => !hasRule(method)))],
  };
}

async function replay(gpu: Gpu, { method, config, shape, initial, gradients, weights, chosen }: Case): Promise<number> {
  const number = (key: string, otherwise: number): number => Number(config[key] ?? otherwise);
  const spec = { ...SPECS[method]!(config), update_gap: number("update_gap", 1000) };
  const variable = { value: tensor("weight", shape, "trainable"), needsGradient: true, kind: "linear" as const };
  const optimizer = new Optimizer([variable], spec, {
    adam_beta1: number("beta1", 0.9),
    adam_beta2: number("beta2", method === "lion" ? 0.99 : 0.999),
    adam_epsilon: config["eps"] === undefined ? null : Number(config["eps"]),
    momentum: spec.momentum,
    weight_decay: number("weight_decay", 0),
    seed: 0,
    max_steps: gradients.length,
    optim_target_modules: null,
    state_free_modules: [],
  });
  const r = new Recorder({ target: gpu.target, training: true });
  const gradient = tensor("gradient", shape, "state"), schedule = scheduleTensor("schedule"), clip = noClip();
  // The step kind that changes no subspace: the fixture says what is chosen.
  optimizer.record(r, optimizer.stepKinds[0]!, variable, gradient, { schedule, clip });
  const program = { name: method, steps: r.steps };
  const executor = await Executor.create(gpu, planMemory([program]));
  executor.write(variable.value, Float32Array.from(initial));
  executor.write(clip, NO_CLIP);
  const largest = Math.max(...weights.flat().map(Math.abs));
  let worst = 0;
  for (const [step, values] of gradients.entries()) {
    const inputs = new Map(optimizer.at(step).inputs);
    if (step % spec.update_gap === 0 && chosen.length > 0) {
      choose(executor, inputs, optimizer.state.get(variable)!, chosen[step / spec.update_gap]!, spec, shape);
    }
    executor.write(gradient, Float32Array.from(values));
    executor.writeInputs(
      new Map([...inputs, [schedule, packSchedule({ learning_rate: number("lr", 0), loss_scale: 1, metrics_row: 0 })]]),
    );
    executor.run(program);
    const actual = await executor.read(variable.value);
    weights[step]!.forEach((expected, i) => (worst = Math.max(worst, Math.abs(actual[i]! - expected) / largest)));
  }
  executor.destroy();
  return worst;
}

/** Puts the projector or the indices of the fixture in the place of what the optimizer would choose. */
function choose(
  executor: Executor,
  inputs: Map<Tensor, Uint32Array<ArrayBuffer>>,
  state: readonly Tensor[],
  { shape: [rows = 0, columns = 0], values }: Case["chosen"][number],
  spec: OptimizerSpec,
  shape: [number, number],
): void {
  for (const tensor of inputs.keys()) {
    if (tensor.label.endsWith(".selection")) {
      inputs.set(tensor, packSelection(Uint32Array.from(values), spec.split === "rows" ? shape[0] : shape[1]));
    }
  }
  const mask = state.find(({ label }) => label.endsWith(".mask"));
  if (mask) {
    const words = new Uint32Array(mask.shape[0]!);
    for (const index of values) words[index >> 5]! |= 1 << (index & 31);
    executor.write(mask, words);
  }
  const basis = state.find(({ label }) => label.endsWith(".basis"));
  if (!basis) return;
  // The fixture's right projector is (k, n), the project's (n, k).
  const isTransposed = sidesOf(spec.proj_type, shape)[0] === "right";
  executor.write(
    basis,
    Float32Array.from(
      isTransposed ? values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!) : values,
    ),
  );
}
