import { ceilDiv, defineKernel, perThread } from "../../gpu/kernel.ts";
import { memoize } from "../../gpu/memoize.ts";
import { vectorsOf } from "../../ops/vector.ts";
import type { Recorder } from "../../plan/recorder.ts";
import { size, type Tensor, tensor } from "../../plan/tensor.ts";
import { dynamicMap } from "./dynamic_map.ts";
import { type RuleName, type RuleNumbers, RULES } from "./rules.ts";
import clipCode from "../../../shaders/lib/clip.wgsl" with { type: "text" };
import stepInputsCode from "../../../shaders/lib/step_inputs.wgsl" with { type: "text" };
import eightBitCode from "../../../shaders/lib/eight_bit.wgsl" with { type: "text" };
import finiteCode from "../../../shaders/lib/finite.wgsl" with { type: "text" };
import fourCode from "../../../shaders/lib/four.wgsl" with { type: "text" };
import momentsCode from "../../../shaders/lib/moments.wgsl" with { type: "text" };
import reduceCode from "../../../shaders/lib/reduce.wgsl" with { type: "text" };
import stateFullCode from "../../../shaders/state_full.wgsl" with { type: "text" };
import stateFull8BitCode from "../../../shaders/state_full_8bit.wgsl" with { type: "text" };
import stateFull8BitTiledCode from "../../../shaders/state_full_8bit_tiled.wgsl" with { type: "text" };
import threadCode from "../../../shaders/lib/thread.wgsl" with { type: "text" };

/** Numbers that share a scale in 8-bit state, and the words that they take. */
export const BLOCK = 256;
const BLOCK_WORDS = 65;
/** Smaller tensors keep 32-bit state, as in bitsandbytes. */
const SMALLEST_8BIT = 4096;

/** Bits of a state number of a tensor of n numbers. */
export const bitsFor = (optim_bits: 32 | 8, n: number): 32 | 8 => (n < SMALLEST_8BIT ? 32 : optim_bits);

/** The state tensors of a rule for n numbers. */
export function stateTensors(label: string, rule: RuleName, bits: 32 | 8, shape: readonly number[]): Tensor[] {
  const n = shape.reduce((a, b) => a * b, 1);
  return RULES[rule].state.map((name) =>
    bits === 32
      ? tensor(`${label}.${name}`, shape, "state")
      : tensor(`${label}.${name}`, [ceilDiv(n, BLOCK) * BLOCK_WORDS], "state", "u32")
  );
}

/** (512) The values of the 8-bit codes, signed and unsigned: one tensor for all, written once. */
export const codesTensor = (): Tensor => tensor("8-bit codes", [2 * 256], "frozen");
export const codeValues = (): Float32Array<ArrayBuffer> =>
  new Float32Array([...dynamicMap(true), ...dynamicMap(false)]);

interface StateFullForm {
  readonly rule: RuleName;
  readonly nesterov: boolean;
}

const PARAMS = {
  n: "u32",
  stride: "u32",
  beta1: "f32",
  beta2: "f32",
  eps: "f32",
  scale: "f32",
  x_scale: "f32",
} as const;

const kernel32 = memoize(({ width, ...form }: StateFullForm & { readonly width: number }) => {
  return defineKernel({
    name: "state_full",
    code: stateFullCode,
    libraries: [threadCode, stepInputsCode, clipCode, finiteCode, momentsCode, RULES[form.rule].code],
    reads: { step_inputs: "StepInputs", clip: "Clip" },
    writes: { x: "array<Vector>", direction: "array<Vector>?", a: "array<Vector>", b: "array<Vector>?" },
    params: PARAMS,
    constants: { ...vectorsOf(width).constants, WORKGROUP: 64, STATE_BY_NUMBER: false, NESTEROV: form.nesterov },
    groups: perThread,
  });
});

const kernel8 = memoize((form: StateFullForm) => {
  const common = {
    reads: { step_inputs: "StepInputs", clip: "Clip", codes: "array<f32>" },
    writes: { x: "array<f32>", direction: "array<f32>?", a: "array<u32>", b: "array<u32>?" },
    params: PARAMS,
    constants: { ...vectorsOf(4).constants, STATE_BY_NUMBER: false, NESTEROV: form.nesterov },
  } as const;
  const libraries = [stepInputsCode, clipCode, finiteCode, momentsCode, RULES[form.rule].code, eightBitCode, fourCode];
  return {
    portable: defineKernel({
      ...common,
      name: "state_full_8bit",
      code: stateFull8BitCode,
      libraries: [threadCode, ...libraries],
      constants: { ...common.constants, WORKGROUP: 16 },
      groups: ({ n }, { WORKGROUP }) => ceilDiv(ceilDiv(n, BLOCK), Number(WORKGROUP)),
    }),
    tiled: defineKernel({
      ...common,
      name: "state_full_8bit_tiled",
      code: stateFull8BitTiledCode,
      libraries: [reduceCode, ...libraries],
      constants: { ...common.constants, WORKGROUP: 64 },
      groups: ({ n }) => ceilDiv(n, BLOCK),
    }),
  };
});

export interface StateFullOptions {
  readonly rule: RuleName;
  readonly nesterov: boolean;
  readonly numbers: RuleNumbers;
  /** Factor of the direction. */
  readonly scale: number;
  /** Minus the factor of x, if x is kept. */
  readonly x_scale: number;
  readonly bits: 32 | 8;
  /** Numbers of x for each one that step_inputs.count counts. */
  readonly stride: number;
}

/**
 * Records the state-full rule on a dense tensor of gradients: direction = scale · rule(x), and x = -x_scale · x.
 * If there is no `direction`, x itself becomes the direction. Numbers beyond step_inputs.count · stride are left alone.
 * @param codes for 8-bit state, see codesTensor().
 */
export function recordStateFull(
  r: Recorder,
  tensors: {
    readonly step_inputs: Tensor;
    readonly clip: Tensor;
    readonly x: Tensor;
    readonly direction?: Tensor;
    readonly state: readonly Tensor[];
    readonly codes: Tensor;
  },
  { rule, nesterov, numbers, scale, x_scale, bits, stride }: StateFullOptions,
): void {
  const { state: [a, b], codes, ...rest } = tensors;
  const form = { rule, nesterov };
  const named = { ...rest, a: a!, b };
  const n = size(tensors.x);
  if (bits === 8) return r.run(kernel8(form), { ...named, codes }, { n, stride, ...numbers, scale, x_scale });
  const { width } = vectorsOf(n);
  r.run(kernel32({ ...form, width }), named, { n: n / width, stride, ...numbers, scale, x_scale });
}
