import { createSha256 } from "../checkpoint/sha256.ts";
import type { Tensor } from "../plan/tensor.ts";

/** One tensor of those that a run keeps from step to step, or of its frozen weights. */
export interface LayoutEntry {
  /** Its name. */
  readonly name: string;
  /** Its size in each dimension, outermost first. */
  readonly shape: readonly number[];
  /** The format of its elements. */
  readonly type: Tensor["type"];
  /** Frozen, in a checkpoint: trained by a run before, and held as it was trained. */
  readonly role: "trainable" | "state" | "frozen";
}

export const layoutOf = (tensors: Iterable<Tensor>): LayoutEntry[] =>
  [...tensors].map(({ label, shape, type, role }) => ({ name: label, shape, type, role: role as LayoutEntry["role"] }));

/** SHA-256 over names, shapes, types and roles, in order: equal layouts hold the same bytes at the same places. */
export const layoutHash = (layout: readonly LayoutEntry[]): string =>
  createSha256().update(
    new TextEncoder().encode(
      layout.map(({ name, shape, type, role }) => `${name}|${type}|${shape.join(",")}|${role}\n`).join(""),
    ),
  ).hex();

/** The fate of each weight when a checkpoint is loaded into a run that trains something else. */
export interface Remapping {
  /** Trained in both, and loaded. */
  readonly kept: readonly string[];
  /**
   * Trained now, not by the run of the checkpoint: begins with the weight of an earlier run, if one has trained it,
   * else with the model's own weights.
   */
  readonly thawed: readonly string[];
  /** Trained before, frozen now: its weight is loaded, its state dropped. */
  readonly frozen: readonly string[];
}

/** Changes that the user allows. */
export interface RemapFlags {
  readonly thaw: boolean;
  readonly freeze_trained: boolean;
}

type Entries = ReadonlyMap<string, LayoutEntry>;

const byName = (layout: readonly LayoutEntry[], ...roles: LayoutEntry["role"][]): Entries =>
  new Map(layout.filter(({ role }) => roles.includes(role)).map((entry) => [entry.name, entry]));
const some = (names: readonly string[]): string =>
  `${names.slice(0, 4).join(", ")}${names.length > 4 ? ` and ${names.length - 4} more` : ""}`;

/**
 * Checks that a run has a place for every weight of a checkpoint. Weights that it freezes may have another format.
 * @param own what the run trains with its state, and its frozen weights.
 * @throws RangeError naming those that its model does not have, or the first that has another shape or type.
 */
export function checkWeights(saved: readonly LayoutEntry[], own: readonly LayoutEntry[]): void {
  const before = byName(saved, "trainable", "frozen"), now = byName(own, "trainable", "frozen");
  const foreign = [...before.keys()].filter((name) => !now.has(name));
  if (foreign.length > 0) {
    throw new RangeError(
      `Cannot resume: the checkpoint has trained ${
        some(foreign)
      }, which this run's model does not have. Resume with the model and the adapters that it was saved with`,
    );
  }
  for (const [name, { type, shape }] of before) {
    const one = now.get(name)!,
      isSame = one.shape.join() === shape.join() && (one.type === type || one.role === "frozen");
    if (!isSame) {
      throw new RangeError(
        `Cannot resume: "${name}" is (${shape}) ${type} in the checkpoint, (${one.shape}) ${one.type} in this run. ` +
          "Resume with the settings that it was saved with",
      );
    }
  }
}

/**
 * Decides by name what a checkpoint whose weights have a place in a run gives to it; undefined if the run trains the
 * same and goes on exactly. Otherwise optimizer state is not carried over: all of it begins at 0.
 * @throws RangeError naming weights that only one of the two trains, and the flag that allows it.
 */
export function remap(
  saved: readonly LayoutEntry[],
  own: readonly LayoutEntry[],
  { thaw, freeze_trained }: RemapFlags,
): Remapping | undefined {
  const isKept = ({ role }: LayoutEntry): boolean => role !== "frozen";
  if (layoutHash(saved.filter(isKept)) === layoutHash(own.filter(isKept))) return undefined;
  const now = byName(own, "trainable"), trainedBeforeFreeze = byName(saved, "trainable");
  const thawed = [...now.keys()].filter((name) => !trainedBeforeFreeze.has(name)),
    newlyFrozen = [...trainedBeforeFreeze.keys()].filter((name) => !now.has(name));
  if (thawed.length > 0 && !thaw) {
    throw new RangeError(
      `Cannot resume: the checkpoint has not trained ${
        some(thawed)
      }. Add --thaw to begin with the model's own weights there`,
    );
  }
  if (newlyFrozen.length > 0 && !freeze_trained) {
    throw new RangeError(
      `Cannot resume: the checkpoint has trained ${
        some(newlyFrozen)
      }, which this run freezes. Add --freeze_trained to keep the trained weights there`,
    );
  }
  const frozenBefore = [...byName(saved, "frozen").keys()].filter((name) => !now.has(name));
  return {
    kept: [...now.keys()].filter((name) => trainedBeforeFreeze.has(name)),
    thawed,
    frozen: [...newlyFrozen, ...frozenBefore],
  };
}
