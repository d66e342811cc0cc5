import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { GradientTarget, Recorder, Variable } from "../plan/recorder.ts";
import { size, type Tensor } from "../plan/tensor.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import accumulateCode from "../../shaders/accumulate.wgsl" with { type: "text" };
import addCode from "../../shaders/add.wgsl" with { type: "text" };
import fillCode from "../../shaders/fill.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const fillKernel = defineKernel({
  name: "fill",
  code: fillCode,
  libraries: [threadCode],
  reads: {},
  writes: { x: "numbers" },
  params: { n: "u32", value: "f32" },
  constants: { WORKGROUP: 64, ...SCALAR },
  groups: perThread,
});

const addKernel = defineKernel({
  name: "add",
  code: addCode,
  libraries: [threadCode],
  reads: { x: "numbers", y: "numbers" },
  writes: { out: "numbers" },
  params: { n: "u32" },
  constants: { WORKGROUP: 64, ...SCALAR },
  groups: perThread,
});

const accumulateKernel = defineKernel({
  name: "accumulate",
  code: accumulateCode,
  libraries: [threadCode],
  reads: { x: "numbers" },
  writes: { out: "numbers" },
  params: { n: "u32" },
  constants: { WORKGROUP: 64, ACCUMULATE: false, ...SCALAR },
  groups: perThread,
});

/** Sets every element of `x` to `value`. */
export function fill(r: Recorder, x: Tensor, value: number): void {
  const { constants, width } = vectorsOf(size(x));
  r.run(fillKernel.with(constants), { x }, { n: size(x) / width, value });
}

/**
 * x + y, of equal shape: the residual connection. Nothing is saved, and the gradient of x is that of the sum itself.
 */
export function add(r: Recorder, x: Variable, y: Variable): Variable {
  if (x.value.shape.join() !== y.value.shape.join()) {
    throw new RangeError(`Cannot add tensors of different shape: (${x.value.shape}) and (${y.value.shape})`);
  }
  const out = { value: r.activation("sum", x.value.shape), needsGradient: x.needsGradient || y.needsGradient };
  const { constants, width } = vectorsOf(size(x.value));
  r.run(addKernel.with(constants), { x: x.value, y: y.value, out: out.value }, { n: size(x.value) / width });
  r.onBackward(out, [x, y], (dOut) => {
    addGradient(r, dOut, y);
    moveGradient(r, dOut, x);
  });
  return out;
}

/** Adds `gradient` to the gradient of `variable`. */
function addGradient(r: Recorder, gradient: Tensor, variable: Variable): void {
  const target = r.gradientFor(variable);
  if (target) copyInto(r, gradient, target);
}

/**
 * Adds a `gradient` that nobody reads afterwards to that of `variable`: if the variable has none yet, the tensor
 * becomes it, without a copy.
 */
export function moveGradient(r: Recorder, gradient: Tensor, variable: Variable): void {
  if (!variable.needsGradient) return;
  if (r.gradientOf(variable)) addGradient(r, gradient, variable);
  else r.setGradient(variable, gradient);
}

/** A copy of x, for a tensor that is about to change in place. */
export function copyTensor(r: Recorder, x: Tensor): Tensor {
  const copy = r.tensor("copy", x.shape, "scratch", x.type);
  copyInto(r, x, { tensor: copy, accumulate: false });
  return copy;
}

function copyInto(r: Recorder, x: Tensor, { tensor: out, accumulate }: GradientTarget): void {
  const { constants, width } = vectorsOf(size(x));
  r.run(accumulateKernel.with({ ...constants, ACCUMULATE: accumulate }), { x, out }, { n: size(x) / width });
}
