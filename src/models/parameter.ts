import type { ParameterKind, TrainableVariable } from "../plan/variable.ts";
import { type ElementType, size, tensor } from "../plan/tensor.ts";
import { fillNormal, uniform } from "../random/philox.ts";

/** Standard deviation of normal initial values, bound of uniform ones around 0, all ones or all zeros. */
export type Initial = number | { readonly uniform: number } | "ones" | "zeros";

/** A weight of a model, under its Hugging Face name (`value.label`). */
export interface Parameter extends TrainableVariable {
  /** The way its first values are made. */
  readonly initial: Initial;
}

/** The formats in which a model's matrices can be stored. */
export type WeightType = Exclude<ElementType, "u32">;

/** Settings of a new parameter. */
export interface ParameterOptions {
  /** Storage format of a matrix, "f32" by default. Only a frozen one may have another than f32 and bf16. */
  readonly type?: WeightType;
  /** By default a vector is a "norm" and everything else "linear". */
  readonly kind?: ParameterKind;
}

/**
 * The type that a parameter is stored as where `type` is wanted. Matrices only, which are nearly all of a model, and of
 * these only such whose rows divide by four: kernels load four numbers at a time. Norms and odd widths stay f32.
 */
export function storedType(shape: readonly number[], type: WeightType): WeightType {
  return shape.length === 2 && shape[1]! % 4 === 0 ? type : "f32";
}

/** A trainable parameter, stored as `type` where `storedType` allows it. */
export function parameter(
  name: string,
  shape: readonly number[],
  initial: Initial,
  { type = "f32", kind = shape.length === 1 ? "norm" : "linear" }: ParameterOptions = {},
): Parameter {
  return { value: tensor(name, shape, "trainable", storedType(shape, type)), needsGradient: true, kind, initial };
}

/** Initial values, a pure function of (seed, name): adding a layer does not change the others. */
export function initialValues({ value, initial }: Parameter, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(size(value)), purpose = `init ${value.label}`;
  if (initial === "zeros") return values;
  if (initial === "ones") return values.fill(1);
  if (typeof initial === "number") fillNormal(values, initial, seed, purpose);
  else for (let i = 0; i < values.length; i++) values[i] = initial.uniform * (2 * uniform(seed, purpose, 0, i) - 1);
  return values;
}

/** Number of elements in all parameters together. */
export const countParameters = (parameters: readonly Parameter[]): number =>
  parameters.reduce((sum, { value }) => sum + size(value), 0);

/** The parameters that have a gradient, in order. */
export const trainedParameters = ({ parameters }: { readonly parameters: readonly Parameter[] }): Parameter[] =>
  parameters.filter(({ needsGradient }) => needsGradient);

/** True for a parameter, false for any other part of a model. */
export const isParameter = (part: unknown): part is Parameter =>
  typeof part === "object" && part !== null && "initial" in part && "value" in part;

/** Every distinct parameter in a tree of plain objects and lists, in the tree's order. */
export function parametersIn(tree: unknown): Parameter[] {
  const found = new Set<Parameter>();
  const visit = (part: unknown): void => {
    if (isParameter(part)) found.add(part);
    else if (typeof part === "object" && part !== null) Object.values(part).forEach(visit);
  };
  visit(tree);
  return [...found];
}
