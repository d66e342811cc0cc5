import type { FactorisedLayer } from "./factorised.ts";
import type { DenseLayer } from "./linear.ts";
import type { Model } from "./model.ts";
import { isParameter, type Parameter, parametersIn } from "./parameter.ts";

interface Replace {
  readonly parameter?: (parameter: Parameter) => Parameter;
  /** Of a layer whose parameters are replaced already. */
  readonly dense?: (layer: DenseLayer) => DenseLayer;
}

const isObject = (part: unknown): part is object => typeof part === "object" && part !== null;
const isDense = (part: object): part is DenseLayer => "weight" in part && "name" in part;
const isFactorised = (part: object): part is FactorisedLayer => "a" in part && "name" in part;

/** The same model with some of its parts replaced, wherever they stand: a parameter that is tied is replaced once. */
export function mapModel<M extends Model>(
  model: M,
  { parameter = (same) => same, dense = (same) => same }: Replace,
): M {
  const replaced = new Map<Parameter, Parameter>();
  const map = (part: unknown): unknown => {
    if (isParameter(part)) {
      if (!replaced.has(part)) replaced.set(part, parameter(part));
      return replaced.get(part);
    }
    if (Array.isArray(part)) return part.map(map);
    if (!isObject(part)) return part;
    const copy = Object.fromEntries(Object.entries(part).map(([key, value]) => [key, map(value)]));
    return isDense(copy) ? dense(copy) : copy;
  };
  const { config, parameters: _, ...tree } = model;
  const copy = map(tree) as object;
  return { ...copy, config, parameters: parametersIn(copy) } as unknown as M;
}

/** Every linear layer with one weight, in order. */
export const denseLayers = (model: Model): DenseLayer[] => layersIn(model, isDense);
/** Every linear layer that is a pair of factors, in order. */
export const factorisedLayers = (model: Model): FactorisedLayer[] => layersIn(model, isFactorised);

function layersIn<L extends object>(
  { config: _config, parameters: _parameters, ...tree }: Model,
  is: (part: object) => part is L,
): L[] {
  const found: L[] = [];
  const visit = (part: unknown): void => {
    if (!isObject(part) || isParameter(part)) return;
    if (is(part)) found.push(part);
    else Object.values(part).forEach(visit);
  };
  visit(tree);
  return found;
}

/** The same model with gradients for some of its parameters only: for programs that train a part. */
export const trainedPart = <M extends Model>(model: M, trained: ReadonlySet<Parameter>): M =>
  mapModel(model, {
    parameter: (parameter) => (trained.has(parameter) ? parameter : { ...parameter, needsGradient: false }),
  });
