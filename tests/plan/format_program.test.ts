import { formatProgram } from "../../src/plan/format_program.ts";
import { Recorder } from "../../src/plan/recorder.ts";
import { tensor } from "../../src/plan/tensor.ts";
import { linear } from "../../src/ops/linear.ts";
import { scale } from "../../src/ops/scale.ts";
import { assertEquals, test } from "../harness.ts";

test("a recorded program prints as one: what is written, the kernel, what is read, numbers, workgroups", () => {
  const r = new Recorder({ target: "portable", training: true });
  const x = { value: tensor("x", [4, 8], "input"), needsGradient: false };
  const w = { value: tensor("fc.weight", [16, 8], "trainable", "bf16"), needsGradient: true };
  const y = linear(r, x, w);
  scale(r, y, 0.1);
  r.setGradient(y, tensor("dy", [4, 16], "scratch"));
  r.backward();
  assertEquals(formatProgram({ name: "train", steps: r.steps }).split("\n"), [
    "train: 4 dispatches",
    "0  fc(4, 16) = matmul(a: x(4, 8) input, b: fc.weight(16, 8) bf16 trainable) {M 4, N 16, K 8} [1]",
    "1  fc(4, 16) = scale() {n 16, factor 0.1} [1]",
    "2  dy(4, 16) = scale() {n 16, factor 0.1} [1]",
    "3  d(fc.weight)(16, 8) gradient = matmul(a: dy(4, 16), b: x(4, 8) input) {M 16, N 8, K 4} [1]",
  ]);
});
