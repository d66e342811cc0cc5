/**
 * What a tensor is for. The role decides how long its bytes live and how a buffer is bound.
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
export type Role = (typeof ROLES)[number];
/** bf16 is for storage: two numbers in a word of 32 bits, the even one in the low half. Kernels compute in f32. */
export type ElementType = "f32" | "u32" | "bf16";

/** The name of a range of GPU memory that a plan will allocate. It holds no data. Row-major. */
export interface Tensor {
  readonly label: string;
  readonly shape: readonly number[];
  readonly role: Role;
  readonly type: ElementType;
}

export const TRANSIENT: ReadonlySet<Role> = new Set<Role>(["gradient", "activation", "scratch"]);

export function tensor(label: string, shape: readonly number[], role: Role, type: ElementType = "f32"): Tensor {
  return { label, shape, role, type };
}

/** Number of elements. */
export const size = ({ shape }: Tensor): number => shape.reduce((product, dimension) => product * dimension, 1);
/** Bytes on the device, in whole words. */
export const bytesOf = (t: Tensor): number => 4 * (t.type === "bf16" ? Math.ceil(size(t) / 2) : size(t));
