// Freezing saves steps, which are counted here without a GPU.

import { assert, assertEquals, assertThrows, test } from "../harness.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import { attention } from "../../src/ops/attention.ts";
import { crossEntropy, crossEntropyOfLogits } from "../../src/ops/cross_entropy.ts";
import { add } from "../../src/ops/elementwise.ts";
import { firstTokens } from "../../src/ops/first_tokens.ts";
import { gelu } from "../../src/ops/gelu.ts";
import { layerNorm } from "../../src/ops/layer_norm.ts";
import { linear } from "../../src/ops/linear.ts";
import { rmsNorm } from "../../src/ops/rms_norm.ts";
import { rope } from "../../src/ops/rope.ts";
import { splitColumns } from "../../src/ops/split_columns.ts";
import { swiglu } from "../../src/ops/swiglu.ts";
import { tanh } from "../../src/ops/tanh.ts";
import { Recorder, type Variable } from "../../src/plan/recorder.ts";
import { tensor } from "../../src/plan/tensor.ts";

const TARGETS: readonly KernelTarget[] = ["portable", "portable_small", "tiled"];
type Variables = Readonly<Record<string, Variable>>;

/** Each op with the shapes of its variables, and which outputs it has. */
const OPS: Readonly<
  Record<
    string,
    { shapes: Readonly<Record<string, readonly number[]>>; record: (r: Recorder, v: Variables) => readonly Variable[] }
  >
> = {
  linear: { shapes: { x: [4, 8], w: [12, 8] }, record: (r, { x, w }) => [linear(r, x!, w!)] },
  "linear with residual": {
    shapes: { x: [4, 8], w: [12, 8], residual: [4, 12] },
    record: (r, { x, w, residual }) => [linear(r, x!, w!, { residual: residual! })],
  },
  "linear with bias": {
    shapes: { x: [4, 8], w: [12, 8], bias: [12] },
    record: (r, { x, w, bias }) => [linear(r, x!, w!, { bias: bias! })],
  },
  "transposed linear": {
    shapes: { x: [4, 8], w: [8, 12], bias: [12] },
    record: (r, { x, w, bias }) => [linear(r, x!, w!, { bias: bias!, transposed: true })],
  },
  "linear into its residual": {
    shapes: { x: [4, 8], w: [12, 8], residual: [4, 12] },
    record: (r, { x, w, residual }) => [linear(r, x!, w!, { residual: residual!, out: residual!.value })],
  },
  layerNorm: {
    shapes: { x: [4, 8], w: [8], bias: [8] },
    record: (r, { x, w, bias }) => [layerNorm(r, x!, w!, bias!, 1e-5)],
  },
  gelu: { shapes: { x: [4, 8] }, record: (r, { x }) => [gelu(r, x!, "exact")] },
  tanh: { shapes: { x: [4, 8] }, record: (r, { x }) => [tanh(r, x!)] },
  firstTokens: { shapes: { x: [4, 8] }, record: (r, { x }) => [firstTokens(r, x!, { B: 2, T: 2 })] },
  splitColumns: { shapes: { x: [4, 8] }, record: (r, { x }) => splitColumns(r, x!, 2) },
  add: { shapes: { x: [8], y: [8] }, record: (r, { x, y }) => [add(r, x!, y!)] },
  rmsNorm: { shapes: { x: [4, 8], w: [8] }, record: (r, { x, w }) => [rmsNorm(r, x!, w!, 1e-5)] },
  swiglu: { shapes: { gate: [4, 8], up: [4, 8] }, record: (r, { gate, up }) => [swiglu(r, gate!, up!)] },
  attention: {
    shapes: { q: [4, 8], k: [4, 4], v: [4, 4] },
    record: (r, { q, k, v }) => [attention(r, q!, k!, v!, { B: 2, T: 2, H: 2, KV: 1, D: 4 })],
  },
  rope: {
    shapes: { q: [4, 8], k: [4, 4] },
    record: (
      r,
      { q, k },
    ) => (rope(r, q!, k!, tensor("table", [4, 2, 2], "input")), [q!, k!].filter(({ needsGradient }) => needsGradient)),
  },
  crossEntropy: {
    shapes: { hidden: [4, 8], weight: [9, 8] },
    record(r, { hidden, weight }) {
      const input = (label: string, length: number) => tensor(label, [length], "input", "u32");
      crossEntropy(r, hidden!, weight!, input("labels", 4), input("schedule", 5), {
        tensor: tensor("loss", [4], "output"),
        first: 0,
      });
      return [];
    },
  },
  crossEntropyOfLogits: {
    shapes: { logits: [4, 8] },
    record(r, { logits }) {
      const input = (label: string, length: number) => tensor(label, [length], "input", "u32");
      crossEntropyOfLogits(r, logits!, input("labels", 4), input("schedule", 5), {
        tensor: tensor("loss", [4], "output"),
        first: 0,
      });
      return [];
    },
  },
};

/** Ops whose gradients come with what is recorded anyway. */
const FREE: ReadonlySet<string> = new Set(["crossEntropyOfLogits"]);

function recordOp(
  op: string,
  frozen: ReadonlySet<string>,
  training: boolean,
  target: KernelTarget,
): { r: Recorder; variables: Variables } {
  const { shapes, record } = OPS[op]!;
  const r = new Recorder({ target, training });
  const variables = Object.fromEntries(
    Object.entries(shapes).map((
      [name, shape],
    ) => [name, {
      value: tensor(name, shape, frozen.has(name) ? "frozen" : "trainable"),
      needsGradient: !frozen.has(name),
    }]),
  );
  for (const output of record(r, variables)) {
    if (training && output.needsGradient) r.setGradient(output, tensor("seed", output.value.shape, "state"));
  }
  r.backward();
  return { r, variables };
}

test("a frozen variable has no gradient and costs no dispatch, for every op", () => {
  for (const target of TARGETS) {
    for (const op of Object.keys(OPS)) {
      const names = Object.keys(OPS[op]!.shapes);
      const forward = recordOp(op, new Set(), false, target).r.steps.length;
      const full = recordOp(op, new Set(), true, target).r.steps.length;
      const none = recordOp(op, new Set(names), true, target);
      assertEquals(none.r.steps.length, forward, `${op} (${target}): all frozen is the forward pass alone`);
      if (!FREE.has(op)) assert(full > forward, `${op} (${target}): ${full} steps of training, ${forward} forward`);
      for (const name of names) {
        const { r, variables } = recordOp(op, new Set([name]), true, target);
        assert(
          r.steps.length <= full,
          `${op} (${target}), ${name} frozen: ${r.steps.length} steps, ${full} with nothing frozen`,
        );
        for (const [other, variable] of Object.entries(variables)) {
          assertEquals(
            r.gradientOf(variable) !== undefined,
            other !== name,
            `${op} (${target}), ${name} frozen: has ${other} a gradient`,
          );
        }
        const written = r.steps.filter(({ tensors }) =>
          tensors.some(({ label, role }) =>
            label === `d(${name})` || (role === "gradient" && label.includes(`(${name})`))
          )
        );
        assertEquals(written.length, 0, `${op} (${target}), ${name} frozen: dispatches that write its gradient`);
      }
    }
  }
});

test("freezing an operand of linear(), rmsNorm(), add() or a head removes its dispatches", () => {
  // The first operand of add() takes the sum's gradient over: only the second needs a copy.
  const expected = {
    linear: [1, 1, 2],
    rmsNorm: [1, 1, 2],
    add: [1, 0, 1],
    crossEntropy: [3, 3, 4],
    layerNorm: [2, 2, 3],
    "linear with bias": [2, 2, 3],
  } as const;
  for (const [op, counts] of Object.entries(expected)) {
    const [first, second] = Object.keys(OPS[op]!.shapes),
      forward = recordOp(op, new Set(), false, "portable").r.steps.length;
    const extra = (...frozen: string[]) => recordOp(op, new Set(frozen), true, "portable").r.steps.length - forward;
    const kernelsOfHead = op === "crossEntropy" ? 2 : 0; // its gradients come with the forward pass
    assertEquals([extra(first!), extra(second!), extra()], counts.map((n) => n - kernelsOfHead), op);
  }
});

test("ops that write gradients in place refuse a variable that has one already", () => {
  const r = new Recorder({ target: "portable", training: true });
  const variable = (label: string): Variable => ({ value: tensor(label, [8], "trainable"), needsGradient: true });
  const gate = variable("gate"), up = variable("up");
  const y = swiglu(r, gate, up), z = add(r, gate, up);
  for (const out of [y, z]) r.setGradient(out, tensor("seed", [8], "state"));
  assertThrows(() => r.backward(), "it already has one");
});

test("attention() refuses, or adds to, a gradient that is there already", () => {
  const r = new Recorder({ target: "portable", training: true });
  const variable = (label: string): Variable => ({ value: tensor(label, [4, 8], "trainable"), needsGradient: true });
  const q = variable("q"), size = { B: 1, T: 4, H: 2, KV: 2, D: 4 };
  const outputs = [
    attention(r, q, variable("k"), variable("v"), size),
    attention(r, q, variable("k2"), variable("v2"), size),
  ];
  for (const out of outputs) r.setGradient(out, tensor("seed", [4, 8], "state"));
  let refused = false;
  try {
    r.backward();
  } catch {
    refused = true;
  }
  const dq = r.gradientOf(q)!;
  const writers = r.steps.filter(({ tensors, kernel }) =>
    tensors.some((t, i) => t === dq && Object.values(kernel.bindings)[i] === "read_write")
  );
  const overwrites = writers.filter(({ kernel }) =>
    kernel.constants["ACCUMULATE"] !== true && kernel.constants["ADD"] !== true
  );
  assert(
    refused || overwrites.length <= 1,
    `dq of two attentions is overwritten by [${
      overwrites.map(({ kernel }) => kernel.name)
    }]: one of the gradients is lost`,
  );
});
