import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import { size, type Tensor } from "../plan/tensor.ts";
import ropeCode from "../../shaders/rope.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const ropeKernel = defineKernel({
  name: "rope",
  code: ropeCode,
  libraries: [threadCode],
  bindings: { table: "read", q_inout: "read_write", k_inout: "read_write" },
  params: { n: "u32", T: "u32", H: "u32", KV: "u32", half: "u32" },
  constants: { WORKGROUP: 64, INVERSE: false },
  groups: perThread,
});

/**
 * Rotary position embedding (Su et al., RoFormer, 2021), in place on the values of q: (B*T, H*D) and k: (B*T, KV*D).
 * `table`: (T, D/2, 2) cosines and sines.
 */
export function rope(r: Recorder, q: Variable, k: Variable, table: Tensor): void {
  const [T, half] = table.shape as [number, number, number];
  const H = q.value.shape[1]! / (2 * half), KV = k.value.shape[1]! / (2 * half);
  const params = { n: (size(q.value) + size(k.value)) / 2, T, H, KV, half };
  r.run(ropeKernel, { table, q_inout: q.value, k_inout: k.value }, params);
  r.onBackward(q.needsGradient ? q : k, [], () => {
    const unused = (of: Variable): Tensor => r.tensor("unused", of.value.shape, "scratch");
    r.run(ropeKernel.with({ INVERSE: true }), { table, q_inout: r.gradientOf(q) ?? unused(q), k_inout: r.gradientOf(k) ?? unused(k) }, params);
  });
}
