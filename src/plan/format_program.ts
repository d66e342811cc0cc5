import type { Program, Step } from "./recorder.ts";
import type { Tensor } from "./tensor.ts";

/** Prints a tensor with its shape, its type unless it is f32, and its role unless it lives within a step. */
function formatTensor({ label, shape, type, role }: Tensor): string {
  const isUsual = role === "activation" || role === "scratch";
  return `${label}(${shape.join(", ")})${type === "f32" ? "" : ` ${type}`}${isUsual ? "" : ` ${role}`}`;
}

/** Prints one dispatch as an assignment. Parameters that are 0 are left out. */
function formatStep({ kernel, tensors, params, dispatchSize }: Step): string {
  const bindings = Object.entries(kernel.bindings).map(([name, access], i) => ({ name, access, tensor: tensors[i]! }));
  const list = (access: "read" | "read_write", named: boolean): string =>
    bindings.filter((binding) => binding.access === access)
      .map(({ name, tensor }) => (named ? `${name}: ` : "") + formatTensor(tensor)).join(", ");
  const numbers = Object.entries(params).filter(([, value]) => value !== 0).map(([name, value]) =>
    `${name} ${Number(value.toPrecision(6))}`
  ).join(", ");
  const groups = dispatchSize.filter((count, axis) => axis === 0 || count > 1).join("x");
  return `${list("read_write", false)} = ${kernel.name}(${list("read", true)})${
    numbers && ` {${numbers}}`
  } [${groups}]`;
}

/**
 * Prints what was recorded so that it reads like a program: one line a dispatch, numbered from 0.
 *
 *     3  up(256, 64) = matmul(a: normed(256, 64), b: mlp.up_proj.weight(64, 64) trainable) {M 256, …} [16x4]
 *
 * Tensors have their shape, their type unless it is f32, and their role unless they live within a step. In braces are
 * the parameters that are not 0, in brackets the workgroups of the launch.
 */
export function formatProgram({ name, steps }: Program): string {
  const width = String(Math.max(0, steps.length - 1)).length;
  const lines = steps.map((step, i) => `${String(i).padStart(width)}  ${formatStep(step)}`);
  return [`${name}: ${steps.length} dispatches`, ...lines].join("\n");
}
