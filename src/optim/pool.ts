import { size } from "../plan/tensor.ts";
import type { TrainableVariable } from "../plan/variable.ts";
import { activeBlocks, activeLayers, roundHalfEven } from "./split/blocks.ts";
import type { OptimizerSpec } from "./optimizer_spec.ts";
import { inBlockOrder } from "./param_groups.ts";
import { BLOCK } from "./rule/state_full.ts";

/** Whole parameters that are state-full in turn, and share the memory of their moments. */
export interface Pool {
  /** Numbers that the largest set of parameters needs. */
  readonly elements: number;
  /** Number of sets, if they are few and come round again: BAdam's blocks of layers. */
  readonly sets: number | null;
  /** Start of each state-full parameter's state after switch number `index`. */
  offsets(index: number, density: number): ReadonlyMap<TrainableVariable, number>;
  /** The one of the `sets` that is state-full then. */
  setAt(index: number): number;
}

/** Places parameters one after another, each where 8-bit blocks and vectors may start. */
function place(
  parameters: readonly TrainableVariable[],
): { readonly offsets: ReadonlyMap<TrainableVariable, number>; readonly elements: number } {
  let elements = 0;
  const offsets = new Map<TrainableVariable, number>();
  for (const parameter of parameters) {
    offsets.set(parameter, elements);
    elements += Math.ceil(size(parameter.value) / BLOCK) * BLOCK;
  }
  return { offsets, elements };
}

/** FRUGAL's blocks: single matrices, `density` of all. */
export function blockPool(targets: readonly TrainableVariable[], spec: OptimizerSpec, seed: number): Pool {
  const parameters = inBlockOrder(targets), count = parameters.length;
  const at = (index: number, density: number): TrainableVariable[] =>
    activeBlocks(spec.block_order, count, density, index, seed).map((i) => parameters[i]!);
  const densest = Math.max(spec.density, spec.density_end ?? 0);
  const isPeriodic = spec.block_order !== "random" && spec.density_end === null;
  const largest = [...parameters].sort((a, b) => size(b.value) - size(a.value)).slice(
    0,
    roundHalfEven(count * densest),
  );
  const elements = isPeriodic
    ? Math.max(0, ...parameters.map((_, index) => place(at(index, densest)).elements))
    : place(largest).elements;
  return { elements, sets: null, offsets: (index, density) => place(at(index, density)).offsets, setAt: () => 0 };
}

/**
 * BAdam's blocks: transformer layers, `density` of all and at least one at a time.
 * @throws RangeError for an order that layers do not have.
 */
export function layerPool(targets: readonly TrainableVariable[], spec: OptimizerSpec, seed: number): Pool {
  const { block_order: order } = spec;
  if (order === "mirror") {
    throw new RangeError('Cannot use block_order "mirror" with layers: expected random, ascending or descending');
  }
  const layers = Math.max(...targets.map(({ layer }) => layer!)) + 1;
  const perBlock = Math.max(1, roundHalfEven(layers * spec.density)), sets = Math.ceil(layers / perBlock);
  const firstAt = (index: number): number => Math.min(...activeLayers(order, layers, perBlock, index, seed));
  const inSet = (set: number): TrainableVariable[] =>
    targets.filter(({ layer }) => Math.floor(layer! / perBlock) === set);
  const setAt = (index: number): number => firstAt(index) / perBlock;
  const elements = Math.max(...Array.from({ length: sets }, (_, set) => place(inSet(set)).elements));
  return { elements, sets, offsets: (index) => place(inSet(setAt(index))).offsets, setAt };
}
