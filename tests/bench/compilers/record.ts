// The distinct kernels of training steps, from the plans that a run would have, and how much of each step they are.

import type { Constants } from "../../../src/gpu/preprocess.ts";
import type { KernelTarget } from "../../../src/gpu/device.ts";
import { architectureOf } from "../../../src/models/model.ts";
import type { Step } from "../../../src/plan/recorder.ts";
import { parseConfig } from "../../../src/recipe/config/config.ts";
import { planRun } from "../../../src/recipe/run.ts";
import { costOf } from "../costs.ts";
import { type Preset, PRESETS } from "./presets.ts";

/** A kernel as a compiler gets it. */
export interface KernelText {
  readonly name: string;
  /** WGSL. */
  readonly source: string;
  readonly constants: Constants;
  /** M × N × K of its first launch, for a matmul. */
  readonly sizes: string;
}

/** A kernel, and the steps that use it. */
export interface Use extends KernelText {
  /** The kernel's name, and what tells it from others of that name. */
  readonly label: string;
  /** Floating-point operations that it does in a step, by the preset's name. */
  readonly operations: Readonly<Record<string, number>>;
}

/** All that is taken from a recorded step, beside its cost. */
const kernelOf = ({ kernel: { name, source, constants }, params: { M, N, K } }: Step): KernelText => ({
  name,
  source,
  constants,
  sizes: M === undefined ? "" : `${M} × ${N} × ${K}`,
});

/**
 * The kernels of some presets.
 * @throws RangeError for an unknown preset.
 */
export function record(presets: readonly string[], target: KernelTarget): Use[] {
  const found = new Map<string, KernelText & { operations: Record<string, number> }>();
  for (const name of presets) {
    const preset = PRESETS[name];
    if (!preset) {
      throw new RangeError(`Cannot find preset "${name}": expected one of ${Object.keys(PRESETS).join(", ")}`);
    }
    for (const { step, isCounted } of stepsOf(preset, target)) {
      const kernel = kernelOf(step);
      let use = found.get(kernel.source);
      if (!use) found.set(kernel.source, use = { ...kernel, operations: {} });
      use.operations[name] = (use.operations[name] ?? 0) + (isCounted ? costOf(step).operations ?? 0 : 0);
    }
  }
  return labelled([...found.values()]);
}

/** The steps of training, and those of an optimizer's programs beside it, which seldom run. */
function* stepsOf(
  { settings, vocab_size, base, packed = false }: Preset,
  target: KernelTarget,
): Iterable<{ step: Step; isCounted: boolean }> {
  for (const one of settings) {
    const { programs: { train } } = planRun(parseConfig(one), {
      vocab_size,
      target,
      packed,
      base: base && { architecture: architectureOf(base.json), json: base.json, storedAs: () => base.type },
    });
    for (const step of train.steps) yield { step, isCounted: true };
    for (const { steps } of train.programs.values()) for (const step of steps) yield { step, isCounted: false };
  }
}

/** WGSL from a file as a kernel: what `--wgsl` wrote, edited. */
export const kernelOfFile = (path: string, source: string): Use => {
  const name = path.replace(/^.*\//, "").replace(/\.wgsl$/, "");
  return { name, label: name, source, constants: {}, sizes: "", operations: {} };
};

/** Labels hold no more constants than it takes to tell kernels of one name apart. */
function labelled(kernels: readonly Omit<Use, "label">[]): Use[] {
  const named = Map.groupBy(kernels, ({ name }) => name);
  return [...named.values()].flatMap((group) => {
    const texts = namesOfConstants(group);
    return group.map((kernel, i) => {
      const twin = texts.slice(0, i).filter((text) => text === texts[i]).length;
      const marks = [kernel.name, texts[i], kernel.sizes && `(${kernel.sizes})`, twin > 0 && `#${twin + 1}`];
      return { ...kernel, label: marks.filter(Boolean).join(" ") };
    });
  });
}

/** The constants of each kernel that separate it from others; whole lines of WGSL are left out. */
function namesOfConstants(kernels: readonly KernelText[]): string[] {
  const valuesOf = (key: string): Constants[string][] => kernels.map(({ constants }) => constants[key] ?? false);
  const keys = [...new Set(kernels.flatMap(({ constants }) => Object.keys(constants)))];
  const isSwitch = (key: string): boolean => valuesOf(key).every((value) => typeof value === "boolean");
  const varies = (key: string): boolean => new Set(valuesOf(key)).size > 1;
  const switches = keys.filter((key) => isSwitch(key) && varies(key));
  let texts = kernels.map(({ constants }) => switches.filter((key) => constants[key]).join(" "));
  for (const key of keys.filter((key) => valuesOf(key).every((value) => String(value).length <= 8))) {
    if (isSwitch(key)) continue;
    const longer = kernels.map(({ constants }, i) => `${key}=${constants[key] ?? "-"} ${texts[i]}`);
    if (new Set(longer).size > new Set(texts).size) texts = longer;
  }
  return texts.map((text) => text.trim());
}
