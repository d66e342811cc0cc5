import { fillNormal, uniform } from "../random/philox.ts";
import type { Variable } from "../plan/recorder.ts";
import { type ElementType, size, tensor } from "../plan/tensor.ts";

/** Standard deviation of normal initial values, bound of uniform ones around 0, all ones or all zeros. */
export type Initial = number | { readonly uniform: number } | "ones" | "zeros";

/** A weight of a model, under its Hugging Face name (`value.label`). */
export interface Parameter extends Variable {
  readonly initial: Initial;
}

/** How a model's matrices are stored. */
export type WeightType = Exclude<ElementType, "u32">;

/**
 * The type that a parameter is stored as where `type` is wanted. Matrices only, which are nearly all of a model, and of
 * these only such whose rows divide by four: kernels load four numbers at a time. Norms and odd widths stay f32.
 */
export function storedType(shape: readonly number[], type: WeightType): WeightType {
  return shape.length === 2 && shape[1]! % 4 === 0 ? type : "f32";
}

/**
 * A trainable parameter. Where `storedType` allows it is stored as `type`; but for f32 and bf16, only a frozen one may
 * be.
 */
export function parameter(
  name: string,
  shape: readonly number[],
  initial: Initial,
  type: WeightType = "f32",
): Parameter {
  return { value: tensor(name, shape, "trainable", storedType(shape, type)), needsGradient: true, initial };
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

/** Numbers in all parameters together. */
export const countParameters = (parameters: readonly Parameter[]): number =>
  parameters.reduce((sum, { value }) => sum + size(value), 0);

/** Whether a part of a model is a parameter. */
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
