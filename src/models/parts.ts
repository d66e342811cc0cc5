import type { Model } from "./architecture.ts";
import type { LowRankLinear } from "./low_rank_linear.ts";
import type { Linear } from "./linear_layer.ts";
import { isParameter, type Parameter, parametersIn } from "./parameter.ts";

/** Replacements for parts of a model. */
interface Replace {
  readonly parameter?: (parameter: Parameter) => Parameter;
  /** Receives a layer whose parameters are replaced already. */
  readonly linear?: (layer: Linear) => Linear;
}

const isObject = (part: unknown): part is object => typeof part === "object" && part !== null;
const isLinear = (part: object): part is Linear => "layerKind" in part && part.layerKind === "dense";
const isLowRank = (part: object): part is LowRankLinear => "layerKind" in part && part.layerKind === "factors";

/** A copy of a tree with some of its parts replaced. A parameter that stands in several places is replaced once. */
function mapParts<P>(tree: P, { parameter = (same) => same, linear = (same) => same }: Replace): P {
  const replaced = new Map<Parameter, Parameter>();
  const map = (part: unknown): unknown => {
    if (isParameter(part)) {
      if (!replaced.has(part)) replaced.set(part, parameter(part));
      return replaced.get(part);
    }
    if (Array.isArray(part)) return part.map(map);
    if (!isObject(part)) return part;
    const copy = Object.fromEntries(Object.entries(part).map(([key, value]) => [key, map(value)]));
    return isLinear(copy) ? linear(copy) : copy;
  };
  return map(tree) as P;
}

/** The same model with some of its parts replaced, wherever they stand. */
export function mapModel<M extends Model>({ architecture, config, parameters: _, ...tree }: M, replace: Replace): M {
  const copy = mapParts(tree, replace);
  return { ...copy, architecture, config, parameters: parametersIn(copy) } as unknown as M;
}

/** The parts of transformer layer number `index`, whose parameters know that they belong to it. */
export const inLayer = <P>(index: number, parts: P): P =>
  mapParts(parts, { parameter: (parameter) => ({ ...parameter, layer: index }) });

/** Every linear layer with one weight, in order. */
export const linearLayers = (model: Model): Linear[] => layersIn(model, isLinear);
/** Names of the linear layers of a classification head. */
export const headLayers = ({ head }: Model): readonly string[] => (head.task === "SEQ_CLS" ? head.layers : []);
/** Every linear layer that is a pair of factors, in order. */
export const lowRankLayers = (model: Model): LowRankLinear[] => layersIn(model, isLowRank);

function layersIn<L extends object>(
  { architecture: _architecture, config: _config, parameters: _parameters, ...tree }: Model,
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
