import { randomOrder, randomSubset } from "./subset.ts";

/** The nearest integer, halves to the even one, as Python's round() does: FRUGAL counts blocks and ranks with it. */
export function roundHalfEven(x: number): number {
  const nearest = Math.round(x);
  return Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : nearest;
}

/** Orders in which layers take turns. */
export const BLOCK_ORDERS = ["random", "ascending", "descending", "mirror"] as const;
/** The order in which layers take turns. */
export type BlockOrder = (typeof BLOCK_ORDERS)[number];

export const LAYER_ORDERS = ["random", "ascending", "descending"] as const;
export type LayerOrder = (typeof LAYER_ORDERS)[number];

/**
 * The matrices that keep state after switch number 0, 1, … (FRUGAL's blocks: Zmushko et al., 2025; fzmushko/FRUGAL,
 * proj_optimizer_templates.py), in the order in which they are taken. A block is one matrix; round(count · density) of
 * them are active. "random" draws again at each switch; the others go round and round: upwards from the first,
 * downwards from the last, or from both ends to the middle. A pure function of `switchIndex`, so a resumed run needs no
 * state of it.
 * @throws {RangeError} if "mirror" cannot take as many from the front as from the back.
 */
export function activeBlocks(
  order: BlockOrder,
  count: number,
  density: number,
  switchIndex: number,
  seed: number,
): number[] {
  const active = roundHalfEven(count * density);
  if (order === "mirror" && active % 2 !== 0) {
    throw new RangeError(
      `Cannot take ${active} of ${count} blocks in the order "mirror": expected an even number. Change the density ` +
        `${density} or the order`,
    );
  }
  if (order === "random") return [...randomSubset(count, active, seed, "blocks", switchIndex)];
  return Array.from({ length: active }, (_, i) => blockAt(order, count, (switchIndex * active + i) % count));
}

/** The place of a block in its round: 0 … count - 1. */
function blockAt(order: Exclude<BlockOrder, "random">, count: number, place: number): number {
  switch (order) {
    case "ascending":
      return place;
    case "descending":
      return count - 1 - place;
    case "mirror":
      return place % 2 === 0 ? place / 2 : count - 1 - (place - 1) / 2;
    default:
      return order satisfies never;
  }
}

/**
 * The layers that train after switch number 0, 1, … (BAdam: Luo et al., 2024; Ledzy/BAdam, block_optim.py), ascending.
 * A block is `perBlock` consecutive layers, the last one perhaps fewer. "random" takes every block once before it takes
 * one again: a permutation for each epoch, popped from its end. A pure function of `switchIndex`.
 */
export function activeLayers(
  order: LayerOrder,
  layers: number,
  perBlock: number,
  switchIndex: number,
  seed: number,
): number[] {
  const blocks = Math.ceil(layers / perBlock);
  const block = layerBlockAt(order, blocks, Math.floor(switchIndex / blocks), switchIndex % blocks, seed);
  return Array.from({ length: Math.min(perBlock, layers - block * perBlock) }, (_, i) => block * perBlock + i);
}

function layerBlockAt(order: LayerOrder, blocks: number, epoch: number, place: number, seed: number): number {
  switch (order) {
    case "random":
      return randomOrder(blocks, blocks, seed, "layers", epoch)[blocks - 1 - place]!;
    case "ascending":
      return place;
    case "descending":
      return blocks - 1 - place;
    default:
      return order satisfies never;
  }
}
