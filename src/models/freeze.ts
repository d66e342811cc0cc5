import { type Parameter, storedType, type WeightType } from "./parameter.ts";
import type { Model } from "./architecture.ts";
import { headLayers, linearLayers, mapModel } from "./parts.ts";

/** Decides which parameters of a model are trained, and how the rest is stored. */
export interface Freezing {
  /** Tells whether a parameter is trained. */
  readonly trains: (parameter: Parameter) => boolean;
  /** The format of a frozen matrix, by its name: as it came, or as asked for. */
  readonly storedAs: (name: string) => WeightType;
  /** Format of the frozen weights of linear layers, heads aside, where they are quantized. */
  readonly quantized: "int8" | "nf4" | undefined;
}

/**
 * The same model with all but the trained parameters frozen: those have no gradient and no state, no kernel writes
 * them, and matrices keep their format. Vectors are f32.
 */
export function freeze<M extends Model>(model: M, { trains, storedAs, quantized }: Freezing): M {
  const heads = headLayers(model);
  const linear = new Set(linearLayers(model).filter(({ name }) => !heads.includes(name)).map(({ weight }) => weight));
  return mapModel(model, {
    parameter: (parameter) => {
      if (trains(parameter)) return parameter;
      const { value } = parameter;
      const type = storedType(value.shape, quantized && linear.has(parameter) ? quantized : storedAs(value.label));
      return { ...parameter, value: { ...value, role: "frozen", type }, needsGradient: false };
    },
  });
}
