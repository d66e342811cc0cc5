import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import { size, type Tensor } from "../plan/tensor.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import ropeCode from "../../shaders/rope.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const ropeKernel = defineKernel({
  name: "rope",
  code: ropeCode,
  libraries: [threadCode],
  reads: { table: "array<Vector>" },
  writes: { q_inout: "numbers", k_inout: "numbers" },
  params: { n: "u32", T: "u32", H: "u32", KV: "u32", half: "u32" },
  constants: { WORKGROUP: 64, INVERSE: false, ...SCALAR },
  groups: perThread,
});

/**
 * Rotary position embedding (Su et al., RoFormer, 2021), in place on the values of q: (B*T, H*D) and k: (B*T, KV*D).
 * `table`: (T, 2, D/2) cosines, then sines.
 */
export function rope(r: Recorder, q: Variable, k: Variable, table: Tensor): void {
  const [T, , halfHead] = table.shape as [number, number, number];
  const { constants, width } = vectorsOf(halfHead);
  const half = halfHead / width;
  const H = q.value.shape[1]! / (2 * halfHead), KV = k.value.shape[1]! / (2 * halfHead);
  const params = { n: (size(q.value) + size(k.value)) / 2 / width, T, H, KV, half };
  r.run(ropeKernel.with(constants), { table, q_inout: q.value, k_inout: k.value }, params);
  r.onBackward(q.needsGradient ? q : k, [], () => {
    const unused = (of: Variable): Tensor => r.tensor("unused", of.value.shape, "scratch");
    r.run(ropeKernel.with({ ...constants, INVERSE: true }), {
      table,
      q_inout: r.gradientOf(q) ?? unused(q),
      k_inout: r.gradientOf(k) ?? unused(k),
    }, params);
  });
}
