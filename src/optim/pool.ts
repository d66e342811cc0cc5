import { size } from "../plan/tensor.ts";
import { activeBlocks, activeLayers, roundHalfEven } from "./split/blocks.ts";
import type { Grid } from "./grid.ts";
import { inBlockOrder, layerOf, type Member } from "./members.ts";
import { BLOCK } from "./rule/state_full.ts";

/** Whole parameters that are state-full in turn, and share the memory of their moments. */
export interface Pool {
  /** Numbers that the largest set of parameters needs. */
  readonly elements: number;
  /** Number of sets, if they are few and come round again: BAdam's blocks of layers. */
  readonly sets: number | null;
  /** Start of each state-full parameter's state after switch number `index`. */
  offsets(index: number, density: number): ReadonlyMap<Member, number>;
  /** The one of the `sets` that is state-full then. */
  setAt(index: number): number;
}

/** Places parameters one after another, each where 8-bit blocks and vectors may start. */
function place(
  members: readonly Member[],
): { readonly offsets: ReadonlyMap<Member, number>; readonly elements: number } {
  let elements = 0;
  const offsets = new Map<Member, number>();
  for (const member of members) {
    offsets.set(member, elements);
    elements += Math.ceil(size(member.variable.value) / BLOCK) * BLOCK;
  }
  return { offsets, elements };
}

/** FRUGAL's blocks: single matrices, `density` of all. */
export function blockPool(targets: readonly Member[], grid: Grid, seed: number): Pool {
  const members = inBlockOrder(targets), count = members.length;
  const at = (index: number, density: number): Member[] =>
    activeBlocks(grid.block_order, count, density, index, seed).map((i) => members[i]!);
  const densest = Math.max(grid.density, grid.density_end ?? 0);
  const isPeriodic = grid.block_order !== "random" && grid.density_end === null;
  const largest = [...members].sort((a, b) => size(b.variable.value) - size(a.variable.value)).slice(
    0,
    roundHalfEven(count * densest),
  );
  const elements = isPeriodic
    ? Math.max(0, ...members.map((_, index) => place(at(index, densest)).elements))
    : place(largest).elements;
  return { elements, sets: null, offsets: (index, density) => place(at(index, density)).offsets, setAt: () => 0 };
}

/**
 * BAdam's blocks: transformer layers, `density` of all and at least one at a time.
 * @throws RangeError for an order that layers do not have.
 */
export function layerPool(targets: readonly Member[], grid: Grid, seed: number): Pool {
  const { block_order: order } = grid;
  if (order === "mirror") {
    throw new RangeError('Cannot use block_order "mirror" with layers: expected random, ascending or descending');
  }
  const layers = Math.max(...targets.map((member) => layerOf(member)!)) + 1;
  const perBlock = Math.max(1, roundHalfEven(layers * grid.density)), sets = Math.ceil(layers / perBlock);
  const firstAt = (index: number): number => Math.min(...activeLayers(order, layers, perBlock, index, seed));
  const membersOf = (set: number): Member[] =>
    targets.filter((member) => Math.floor(layerOf(member)! / perBlock) === set);
  const setAt = (index: number): number => firstAt(index) / perBlock;
  const elements = Math.max(...Array.from({ length: sets }, (_, set) => place(membersOf(set)).elements));
  return { elements, sets, offsets: (index) => place(membersOf(setAt(index))).offsets, setAt };
}
