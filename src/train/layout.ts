import { Sha256 } from "../checkpoint/sha256.ts";
import type { Tensor } from "../plan/tensor.ts";

/** One tensor of those that a run keeps from step to step. */
export interface LayoutEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: Tensor["type"];
  readonly role: "trainable" | "state";
}

export const layoutOf = (tensors: Iterable<Tensor>): LayoutEntry[] =>
  [...tensors].map(({ label, shape, type, role }) => ({ name: label, shape, type, role: role as LayoutEntry["role"] }));

/** SHA-256 over names, shapes, types and roles, in order: equal layouts hold the same bytes at the same places. */
export const layoutHash = (layout: readonly LayoutEntry[]): string =>
  new Sha256().update(new TextEncoder().encode(layout.map(({ name, shape, type, role }) => `${name}|${type}|${shape.join(",")}|${role}\n`).join(""))).hex();

/** What becomes of each tensor when a checkpoint is loaded into a run that trains something else. */
export interface Remapping {
  /** In both, and loaded. */
  readonly kept: readonly string[];
  /** Trained now, frozen in the checkpoint: begins with the model's own weights. */
  readonly thawed: readonly string[];
  /** Trained in the checkpoint, frozen now: its weight is loaded, its state dropped. */
  readonly frozen: readonly string[];
}

/** What the user allows. */
export interface RemapFlags {
  readonly thaw: boolean;
  readonly freeze_trained: boolean;
}

const sameForm = (a: LayoutEntry, b: LayoutEntry): boolean => a.type === b.type && a.shape.join() === b.shape.join();
const some = (names: readonly string[]): string => `${names.slice(0, 4).join(", ")}${names.length > 4 ? ` and ${names.length - 4} more` : ""}`;

/**
 * Decides by name what a checkpoint of another layout gives to a run. Optimizer state is not carried over: its moments begin anew.
 * @throws RangeError for a weight of another shape or type, and, naming the flag that allows it, for weights that only one of the two trains.
 */
export function remap(saved: readonly LayoutEntry[], wanted: readonly LayoutEntry[], { thaw, freeze_trained }: RemapFlags): Remapping {
  const weights = (layout: readonly LayoutEntry[]): Map<string, LayoutEntry> => new Map(layout.filter(({ role }) => role === "trainable").map((entry) => [entry.name, entry]));
  const before = weights(saved), now = weights(wanted);
  const kept = [...now.keys()].filter((name) => before.has(name)), thawed = [...now.keys()].filter((name) => !before.has(name)), frozen = [...before.keys()].filter((name) => !now.has(name));
  const changed = kept.find((name) => !sameForm(before.get(name)!, now.get(name)!));
  if (changed !== undefined) {
    const form = ({ type, shape }: LayoutEntry): string => `(${shape}) ${type}`;
    throw new RangeError(`Cannot resume: "${changed}" is ${form(before.get(changed)!)} in the checkpoint, ${form(now.get(changed)!)} in this run. Resume with the settings that it was saved with`);
  }
  if (thawed.length > 0 && !thaw) throw new RangeError(`Cannot resume: the checkpoint has not trained ${some(thawed)}. Add --thaw to begin with the model's own weights there`);
  if (frozen.length > 0 && !freeze_trained) throw new RangeError(`Cannot resume: the checkpoint has trained ${some(frozen)}, which this run freezes. Add --freeze_trained to keep the trained weights there`);
  return { kept, thawed, frozen };
}
