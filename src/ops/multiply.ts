import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { GradientTarget, Recorder, Variable } from "../plan/recorder.ts";
import { size, type Tensor } from "../plan/tensor.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import multiplyCode from "../../shaders/multiply.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const multiplyKernel = defineKernel({
  name: "multiply",
  code: multiplyCode,
  libraries: [threadCode],
  reads: { x: "numbers", y: "numbers" },
  writes: { out: "numbers" },
  params: { n: "u32" },
  constants: { WORKGROUP: 64, ACCUMULATE: false, ...SCALAR },
  groups: perThread,
});

/**
 * The elementwise product x y of tensors of equal shape. The backward pass reads both.
 * @throws RangeError if the shapes differ.
 */
export function multiply(r: Recorder, x: Variable, y: Variable): Variable {
  if (x.value.shape.join() !== y.value.shape.join()) {
    throw new RangeError(`Cannot multiply tensors of different shape: (${x.value.shape}) and (${y.value.shape})`);
  }
  const { constants, width } = vectorsOf(size(x.value)), n = size(x.value) / width;
  const product = (a: Tensor, b: Tensor, { tensor: out, accumulate }: GradientTarget): void =>
    r.run(multiplyKernel.with({ ...constants, ACCUMULATE: accumulate }), { x: a, y: b, out }, { n });
  const out = { value: r.activation("product", x.value.shape), needsGradient: x.needsGradient || y.needsGradient };
  product(x.value, y.value, { tensor: out.value, accumulate: false });
  r.onBackward(out, [x, y], (dOut) => {
    const dx = r.gradientFor(x);
    if (dx) product(dOut, y.value, dx);
    const dy = r.gradientFor(y);
    if (dy) product(dOut, x.value, dy);
  });
  return out;
}
