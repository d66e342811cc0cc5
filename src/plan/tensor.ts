import { type ElementType, GROUP, wordsOf } from "../gpu/formats/index.ts";

export { type ElementType, GROUP };

/**
 * The purpose of a tensor. It decides how long its bytes live and how a buffer is bound.
 *
 * | role | lives | shared with others |
 * | --- | --- | --- |
 * | frozen | for the whole run, written once | no |
 * | trainable | for the whole run | no |
 * | state | for the whole run: optimizer moments | no |
 * | input | for the whole run, written by the host before a step | one buffer for all |
 * | output | for the whole run, read by the host | no |
 * | gradient | from its first to its last use in a step | slots |
 * | activation | from its first to its last use in a step | slots |
 * | scratch | from its first to its last use in a step | slots |
 */
export const ROLES = ["frozen", "trainable", "gradient", "state", "activation", "input", "output", "scratch"] as const;
/** The purpose of a tensor's memory. */
export type Role = (typeof ROLES)[number];
/** The name of a range of GPU memory that a plan will allocate. It holds no data. Row-major. */
export interface Tensor {
  /** Its name, for messages and tools. */
  readonly label: string;
  /** Its size in each dimension, outermost first. */
  readonly shape: readonly number[];
  /** Its purpose. */
  readonly role: Role;
  /** The format of its elements. */
  readonly type: ElementType;
}

export const TRANSIENT: ReadonlySet<Role> = new Set<Role>(["gradient", "activation", "scratch"]);

/** Names a tensor. It has no memory before a plan gives it a place. */
export function tensor(label: string, shape: readonly number[], role: Role, type: ElementType = "f32"): Tensor {
  return { label, shape, role, type };
}

/** Number of elements. */
export const size = ({ shape }: Tensor): number => shape.reduce((product, dimension) => product * dimension, 1);
/** Bytes on the device, in whole words, scales included. */
export const bytesOf = (t: Tensor): number => 4 * (t.type === "u32" ? size(t) : wordsOf(t.type, size(t)));
