import { assert, assertEquals, assertThrows, test } from "../harness.ts";
import { add } from "../../src/ops/elementwise.ts";
import { gelu } from "../../src/ops/gelu.ts";
import { linear } from "../../src/ops/linear.ts";
import { scale } from "../../src/ops/scale.ts";
import { swiglu } from "../../src/ops/swiglu.ts";
import { Recorder, type Variable } from "../../src/plan/recorder.ts";
import { type Role, type Tensor, tensor } from "../../src/plan/tensor.ts";

const variable = (label: string, shape: readonly number[], needsGradient = true): Variable => ({
  value: tensor(label, shape, needsGradient ? "trainable" : "frozen"),
  needsGradient,
});

const training = (): Recorder => new Recorder({ target: "portable", training: true });

function seed(r: Recorder, output: Variable): Tensor {
  const gradient = tensor("seed", output.value.shape, "state");
  r.setGradient(output, gradient);
  return gradient;
}

/** For each dispatch that writes `gradient`: does it add? */
const writes = (r: Recorder, gradient: Tensor): boolean[] =>
  r.steps.filter(({ kernel, tensors }) =>
    tensors.some((t, i) => t === gradient && Object.values(kernel.bindings)[i] === "read_write")
  )
    .map(({ kernel }) => kernel.constants["ACCUMULATE"] === true);

test("the first contribution to a gradient is an assignment, later ones are added", () => {
  const r = training(), x = variable("x", [2, 3]), w = variable("w", [3, 3]);
  let y: Variable = x;
  for (let use = 0; use < 3; use++) y = linear(r, y, w);
  seed(r, y);
  r.backward();
  assertEquals(writes(r, r.gradientOf(w)!), [false, true, true]);
  assertEquals(writes(r, r.gradientOf(x)!), [false]);
});

test("backward() of a second batch adds to the gradients of the first", () => {
  const r = training(), w = variable("w", [3, 3]);
  for (let batch = 0; batch < 2; batch++) {
    seed(r, linear(r, variable(`x${batch}`, [2, 3], false), w));
    r.backward();
  }
  assertEquals(writes(r, r.gradientOf(w)!), [false, true]);
  assertEquals(r.steps.length, 4, "nothing of the first batch is recorded twice");
});

test("a residual without a gradient takes over the output's, otherwise it is added", () => {
  const r = training(), x = variable("x", [2, 3]), w = variable("w", [3, 3]);
  const y = linear(r, x, w, { residual: x });
  const dy = seed(r, y);
  const before = r.steps.length;
  r.backward();
  // x is the layer's input as well: dx = dy W comes first, so dy is added to it.
  assertEquals(r.steps.slice(before).map(({ kernel }) => kernel.name), ["matmul", "matmul", "accumulate"]);
  assert(r.gradientOf(x) !== dy, "two contributions need a tensor of their own");

  const s = training(), residual = variable("residual", [2, 3]);
  const dz = seed(s, linear(s, variable("x", [2, 3], false), variable("w", [3, 3], false), { residual }));
  s.backward();
  assertEquals(s.gradientOf(residual), dz);
  assertEquals(s.steps.length, 1, "the forward matmul alone");
});

test("onComplete fires once for each variable, after everything that writes or reads its gradient's op", () => {
  const r = training(),
    x = variable("x", [2, 3]),
    w = variable("w", [3, 3]),
    v = variable("v", [3, 3]),
    frozen = variable("frozen", [3, 3], false);
  const a = linear(r, x, w), b = linear(r, a, v), c = linear(r, b, frozen), d = linear(r, c, w);
  seed(r, d);
  const completed = new Map<Variable, { gradient: Tensor; at: number }>();
  r.backward((of, gradient) => {
    assert(!completed.has(of), `${of.value.label} is completed twice`);
    completed.set(of, { gradient, at: r.steps.length });
  });
  const name = (of: Variable): string => of.value.label;
  assertEquals([...completed.keys()].map(name).toSorted(), [x, w, v, a, b, c].map(name).toSorted());
  assert([x, w, v, a, b, c].every((of) => completed.has(of)), "the frozen weight is not among them");
  const touches = (t: Tensor): number => r.steps.findLastIndex(({ tensors }) => tensors.includes(t));
  for (const  of of[w, v, x]) {
    const { gradient, at } = completed.get(of)!;
    assertEquals(gradient, r.gradientOf(of));
    assert(
      at > touches(gradient) && at > touches(of.value),
      `${name(of)} is complete at ${at}, but its gradient is touched at ${touches(gradient)}, its value at ${
        touches(of.value)
      }`,
    );
  }
  assert(completed.get(v)!.at < completed.get(w)!.at, "v is complete before the first use of w runs backward");
});

test("onComplete of a shared parameter waits for the last batch's use only within one backward()", () => {
  const r = training(), w = variable("w", [3, 3]), counts: number[] = [];
  for (let batch = 0; batch < 2; batch++) {
    seed(r, linear(r, variable("x", [2, 3], false), w));
    let count = 0;
    r.backward(() => count++);
    counts.push(count);
  }
  assertEquals(counts, [1, 1]);
});

test("gradients of parameters and of activations have their roles, shapes and labels", () => {
  const r = training(),
    x: Variable = { value: tensor("x", [2, 3], "activation"), needsGradient: true },
    w = variable("w", [4, 3]);
  seed(r, linear(r, x, w));
  r.backward();
  const facts = (of: Variable): readonly [string, Role, readonly number[]] => {
    const { label, role, shape } = r.gradientOf(of)!;
    return [label, role, shape];
  };
  assertEquals(facts(w), ["d(w)", "gradient", [4, 3]]);
  assertEquals(facts(x), ["d(x)", "activation", [2, 3]]);
});

test("without training nothing has a gradient", () => {
  const r = new Recorder({ target: "portable", training: false }),
    x = variable("x", [2, 3]),
    w = variable("w", [3, 3]);
  linear(r, x, w);
  r.backward();
  assertEquals([r.gradientFor(w), r.gradientOf(w), r.steps.length], [undefined, undefined, 1]);
});

test("an output that nothing depends on costs no backward pass", () => {
  const r = training(), x = variable("x", [2, 3]), w = variable("w", [3, 3]), unused = variable("unused", [3, 3]);
  const y = linear(r, x, w);
  linear(r, x, unused);
  seed(r, y);
  r.backward();
  assertEquals(r.gradientOf(unused), undefined);
  assertEquals(r.steps.length, 4, "two forward, dW and dx of the first");
});

test("setGradient() refuses to lose a gradient", () => {
  const r = training(), x = variable("x", [2, 3]);
  seed(r, x);
  assertThrows(() => seed(r, x), "Cannot set the gradient of x: it already has one");
});

test("scope() names tensors, also nested and after an error", () => {
  const r = training();
  const inner = r.scope("layers", () => r.scope("0", () => r.tensor("q", [1])));
  assertEquals(inner.label, "layers.0.q");
  assertThrows(() =>
    r.scope("broken", () => {
      throw new Error("in the body");
    }), "in the body");
  assertEquals(r.tensor("q", [1]).label, "q");
});

test("run() binds tensors in the kernel's order, whatever the caller's", () => {
  const r = training(), x = variable("x", [4]), y = variable("y", [4]);
  const sum = add(r, x, y);
  const [step] = r.steps;
  assertEquals(step!.tensors.map(({ label }) => label), ["x", "y", "sum"]);
  assertEquals(Object.keys(step!.kernel.bindings), ["x", "y", "out"]);
  assertEquals(sum.value, step!.tensors[2]);
});

test("checkpoint(): the body is recorded again in the backward pass, its uses count once", () => {
  const labels = ["x", "w.weight", "v.weight"];
  const record = (checkpointed: boolean) => {
    const r = training(), x = variable("x", [2, 3]), w = variable("w.weight", [3, 3]), v = variable("v.weight", [3, 3]);
    const body = (z: Variable): Variable => linear(r, linear(r, z, w), v);
    const hidden = checkpointed ? r.checkpoint(x, body) : body(x);
    const y = linear(r, hidden, w); // a parameter of the body, used outside as well
    seed(r, y);
    const forward = r.steps.length, completed: string[] = [];
    r.backward((of) => completed.push(of.value.label));
    return {
      r,
      forward,
      completed: completed.filter((label) => labels.includes(label)),
      gradients: [x, w, v].map((of) => writes(r, r.gradientOf(of)!)),
    };
  };
  const plain = record(false), checkpointed = record(true);
  assertEquals(checkpointed.r.steps.length, plain.r.steps.length + 2, "the body's two matmuls again");
  assertEquals(checkpointed.forward, plain.forward);
  assertEquals(checkpointed.gradients, plain.gradients);
  assertEquals(checkpointed.completed.toSorted(), ["v.weight", "w.weight", "x"]);
  // The body's first results are not read by the backward pass: they are computed again.
  const first = checkpointed.r.steps[0]!.tensors.at(-1)!;
  assertEquals(
    checkpointed.r.steps.findLastIndex(({ tensors }) => tensors.includes(first)),
    1,
    "last use of the first body's activation",
  );
});

test("a backward pass is refused that would read a value which an op in place has overwritten", () => {
  const record = (before: (r: Recorder, gate: Variable) => void) => () => {
    const r = training(), x = variable("x", [8, 4], false), w = variable("w", [8, 4]), v = variable("v", [8, 4]);
    const gate = linear(r, x, w), up = linear(r, x, v);
    before(r, gate);
    seed(r, swiglu(r, gate, up));
    r.backward();
  };
  record(() => {})();
  const alsoRead = (r: Recorder, gate: Variable): void => void seed(r, gelu(r, gate, "tanh"));
  const scaled = (r: Recorder, gate: Variable): void => (alsoRead(r, gate), scale(r, gate, 2));
  for (const [before, by] of [[alsoRead, "swiglu_backward"], [scaled, "scale"]] as const) {
    assertThrows(
      record(before),
      `Cannot record the backward pass of gelu_tanh_backward: it reads w, which "${by}" has overwritten since. ` +
        "Give it no other use, or a copy",
    );
  }
  // In place with no other reader, and within a checkpointed layer that is recorded twice.
  const r = training(), w = variable("w", [4, 4]);
  const layer = (x: Variable): Variable => {
    const y = linear(r, x, w);
    scale(r, y, 3);
    return swiglu(r, y, linear(r, x, w));
  };
  seed(r, r.checkpoint(linear(r, variable("x", [2, 4], false), w), layer));
  r.backward();
});
