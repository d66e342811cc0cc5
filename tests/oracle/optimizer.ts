import type { Gpu } from "../../src/gpu/device.ts";
import { adamw } from "../../src/optim/adamw.ts";
import { NO_CLIP, noClip } from "../../src/optim/clip.ts";
import { stateOf, type UpdateRule } from "../../src/optim/rule.ts";
import { packSchedule, scheduleTensor } from "../../src/optim/schedule.ts";
import { sgd } from "../../src/optim/sgd.ts";
import { signSgd } from "../../src/optim/sign_sgd.ts";
import { Executor } from "../../src/plan/executor.ts";
import { planMemory } from "../../src/plan/memory.ts";
import { Recorder } from "../../src/plan/recorder.ts";
import { tensor } from "../../src/plan/tensor.ts";
import { type OracleCase, oracleCase, type ReadFile, readJson } from "./files.ts";

interface Case {
  readonly name: string;
  readonly method: string;
  readonly shape: [number, number];
  readonly config: Readonly<Record<string, number | boolean>>;
  readonly initial: number[];
  readonly gradients: number[][];
  readonly weights: number[][];
}

/** Of the largest weight, as the fixture says. */
const TOLERANCE = 1e-5;

const number = (config: Case["config"], key: string, otherwise: number): number => Number(config[key] ?? otherwise);

/** The project's rule for a method of the fixture, with PyTorch's defaults. */
const RULES: Readonly<Record<string, (config: Case["config"]) => UpdateRule>> = {
  adamw: (c) => adamw({ adam_beta1: number(c, "beta1", 0.9), adam_beta2: number(c, "beta2", 0.999), adam_epsilon: number(c, "eps", 1e-8), weight_decay: number(c, "weight_decay", 0) }),
  sgd: (c) => sgd({ momentum: number(c, "momentum", 0), nesterov: c["nesterov"] === true, weight_decay: number(c, "weight_decay", 0) }),
  signsgd: (c) => signSgd({ weight_decay: number(c, "weight_decay", 0) }),
};

/** Whether a method of the file has a rule here. The others are reported as not replayed. */
export const hasRule = (method: string): boolean => method in RULES;

/** Replays the trajectories of update rules on given gradients. */
export async function replayOptimizers(gpu: Gpu, read: ReadFile, path: string): Promise<{ cases: OracleCase[]; unsupported: string[] }> {
  const { cases } = await readJson(read, path) as { cases: Case[] };
  const supported = cases.filter(({ method }) => hasRule(method));
  const results: OracleCase[] = [];
  for (const one of supported) results.push(oracleCase(one.name, await replay(gpu, one), TOLERANCE));
  return { cases: results, unsupported: [...new Set(cases.map(({ method }) => method).filter((method) => !hasRule(method)))] };
}

async function replay(gpu: Gpu, { method, config, shape, initial, gradients, weights }: Case): Promise<number> {
  const rule = RULES[method]!(config);
  const r = new Recorder({ variant: gpu.variant, training: true });
  const parameter = { value: tensor("weight", shape, "trainable"), needsGradient: true };
  const gradient = tensor("gradient", shape, "input"), schedule = scheduleTensor("schedule"), clip = noClip();
  const state = stateOf(rule, parameter);
  rule.record(r, parameter, gradient, state, { schedule, clip });
  const program = { name: method, steps: r.steps };
  const executor = await Executor.create(gpu, planMemory([program]));
  executor.write(parameter.value, Float32Array.from(initial));
  executor.write(clip, NO_CLIP);
  const beta1 = number(config, "beta1", 0.9), beta2 = number(config, "beta2", 0.999);
  const largest = Math.max(...weights.flat().map(Math.abs));
  let worst = 0;
  for (const [step, values] of gradients.entries()) {
    const numbers = { learning_rate: number(config, "lr", 0), bias_correction1: 1 - beta1 ** (step + 1), bias_correction2: 1 - beta2 ** (step + 1), loss_scale: 1, metrics_row: 0 };
    executor.writeInputs(new Map<typeof gradient, Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>([[gradient, Float32Array.from(values)], [schedule, packSchedule(numbers)]]));
    executor.run(program);
    const actual = await executor.read(parameter.value);
    weights[step]!.forEach((expected, i) => (worst = Math.max(worst, Math.abs(actual[i]! - expected) / largest)));
  }
  executor.destroy();
  return worst;
}
