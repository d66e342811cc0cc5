// The planner is a pure function of the recorded steps: no GPU here.

import { assert, assertEquals, assertThrows, random, test } from "../harness.ts";
import { type MemoryPlan, planMemory } from "../../src/plan/memory.ts";
import type { Program } from "../../src/plan/recorder.ts";
import { bytesByRole } from "../../src/plan/ledger.ts";
import { bytesOf, type Role, type Tensor, tensor, TRANSIENT } from "../../src/plan/tensor.ts";
import { floats, program, step } from "./steps.ts";

const bytes = (plan: MemoryPlan, role: Role): number => bytesByRole(plan.buffers)[role];
const bufferOf = (plan: MemoryPlan, tensor: Tensor): number => plan.location.get(tensor)!.buffer;

/** x0 -> x1 -> … each of `length` floats. */
function chain(count: number, length: number, role: Role = "activation"): { tensors: Tensor[]; program: Program } {
  const tensors = [...Array(count).keys()].map((i) => floats(`x${i}`, length, role));
  return { tensors, program: program(tensors.slice(1).map((x, i) => step(`f${i}`, [tensors[i]!], [x]))) };
}

test("a chain of activations takes two slots, whatever its length", () => {
  for (const count of [2, 3, 10, 50]) {
    assertEquals(bytes(planMemory([chain(count, 100).program]), "activation"), 2 * 400, `chain of ${count}`);
  }
  assertEquals(bytes(planMemory([chain(1, 100).program]), "activation"), 0, "no step, no memory");
});

test("operands of one step never share, even where one dies and the other is born", () => {
  const { tensors, program } = chain(20, 10);
  const plan = planMemory([program]);
  for (const { tensors: operands } of program.steps) {
    assertEquals(
      new Set(operands.map((t) => bufferOf(plan, t))).size,
      operands.length,
      `step of ${operands.map(({ label }) => label)}`,
    );
  }
  assertEquals(bufferOf(plan, tensors[0]!), bufferOf(plan, tensors[2]!), "x0 is dead when x2 is born");
});

test("activations that the backward pass reads live until then", () => {
  const { tensors, program: forward } = chain(6, 10);
  const gradients = tensors.map(({ label }) => floats(`d(${label})`, 10));
  const backward = tensors.slice(0, -1).map((x, i) => step(`b${i}`, [x, gradients[i + 1]!], [gradients[i]!])).reverse();
  const plan = planMemory([program([...forward.steps, ...backward])]);
  const saved = tensors.slice(0, -1).map((t) => bufferOf(plan, t));
  assertEquals(new Set(saved).size, saved.length, "all saved activations are alive at the turning point");
  // Saved: 5. Then x5 and its gradient, or two gradients at a time, one of them in the place of a dead activation.
  assert(bytes(plan, "activation") <= 7 * 40, `${bytes(plan, "activation")} bytes, expected at most 280`);
});

test("a slot is as large as its largest tensor, and largest go first", () => {
  const [a, b, c, d] = [floats("a", 10), floats("b", 1000), floats("c", 20), floats("d", 500)];
  const plan = planMemory([program([step("1", [a!], [b!]), step("2", [b!], [c!]), step("3", [c!], [d!])])]);
  assertEquals(bytes(plan, "activation"), 4 * (1000 + 20), "a and c, b and d");
  assertEquals(plan.buffers.filter(({ role }) => role === "activation").map(({ label }) => label), [
    "activation slot (b)",
    "activation slot (c)",
  ]);
});

test("roles do not share slots: the ledger tells them apart", () => {
  const x = floats("x", 8), s = floats("s", 8, "scratch"), g = floats("g", 8, "gradient");
  const plan = planMemory([program([step("1", [], [x]), step("2", [], [s]), step("3", [], [g])])]);
  assertEquals(new Set([x, s, g].map((t) => bufferOf(plan, t))).size, 3);
});

test("what persists has a buffer of its own, of its own size", () => {
  const kept = (["frozen", "trainable", "state", "output"] as const).map((role, i) => floats(role, 3 + i, role));
  const x = floats("x", 100);
  const plan = planMemory([program(kept.map((t) => step(`use ${t.label}`, [t], [x])))]);
  assertEquals(new Set(kept.map((t) => bufferOf(plan, t))).size, kept.length);
  for (const t of kept) {
    assertEquals([plan.buffers[bufferOf(plan, t)]!.bytes, plan.location.get(t)!.offset], [bytesOf(t), 0], t.label);
  }
});

function trainingSteps(sizes: readonly number[], updatesLast: boolean): Program {
  const parameters = sizes.map((n, i) => floats(`w${i}`, n, "trainable")),
    gradients = sizes.map((n, i) => floats(`d(w${i})`, n, "gradient"));
  const compute = gradients.map((g, i) => step(`backward ${i}`, [parameters[i]!], [g]));
  const update = gradients.map((g, i) => step(`update ${i}`, [g], [parameters[i]!]));
  return program(updatesLast ? [...compute, ...update] : compute.flatMap((c, i) => [c, update[i]!]));
}

test("gradients updated in the backward pass take the bytes of the largest, updated last those of all", () => {
  const sizes = [300, 70, 1000, 5, 1000];
  assertEquals(bytes(planMemory([trainingSteps(sizes, false)]), "gradient"), 4 * 1000);
  assertEquals(bytes(planMemory([trainingSteps(sizes, true)]), "gradient"), 4 * (300 + 70 + 1000 + 5 + 1000));
});

test("inputs lie in one buffer, 256 bytes apart, each at its own place", () => {
  const lengths = [1, 64, 65, 3, 200], inputs = lengths.map((n, i) => floats(`i${i}`, n, "input"));
  const plan = planMemory([program(inputs.map((t) => step(`use ${t.label}`, [t], [floats("x", 1)])))]);
  assertEquals(inputs.map((t) => plan.location.get(t)!.offset), [0, 256, 512, 1024, 1280]);
  assertEquals(new Set(inputs.map((t) => bufferOf(plan, t))).size, 1);
  assertEquals(plan.buffers[bufferOf(plan, inputs[0]!)], { label: "inputs", role: "input", bytes: 1280 + 1024 });
});

test("programs run one after another, so they share what is transient and nothing else", () => {
  const w = floats("w", 7, "trainable"), big = floats("a", 1000), small = floats("b", 10);
  const first = program([step("1", [w], [big])]), second = program([step("2", [w], [small])]);
  const plan = planMemory([first, second]);
  assertEquals(bytes(plan, "activation"), 4000, "the smaller lies in the larger's slot");
  assertEquals(bytes(plan, "trainable"), 28, "a weight that both use exists once");
  assertEquals(
    planMemory([second, first]).buffers.filter(({ role }) => role === "activation").length,
    1,
    "in any order",
  );
});

test("equal params are stored once, 256 bytes apart; the staging buffer holds the largest output", () => {
  const x = floats("x", 4), o1 = floats("o1", 5, "output"), o2 = floats("o2", 500, "output");
  const steps = [step("1", [x], [o1], { n: 4 }), step("2", [x], [o2], { n: 5 }), step("3", [x], [o1], { n: 4 })];
  const plan = planMemory([program(steps)]);
  const [a, b, c] = steps.map((s) => plan.paramOffsets.get(s));
  assertEquals([a === c, Math.abs(a! - b!)], [true, 256]);
  const params = plan.buffers[plan.paramsBuffer]!;
  assert(
    Math.max(a!, b!) + 256 <= params.bytes,
    `a binding of 256 bytes must end within the ${params.bytes} of the buffer`,
  );
  assertEquals(plan.buffers[plan.stagingBuffer]!.bytes, 2000);
});

test("planning is a function: the same steps give the same plan", () => {
  const a = chain(12, 9).program;
  assertEquals(planMemory([a]).buffers, planMemory([a]).buffers);
});

test("random programs: tensors alive at one time never share a buffer, slots are never wasted on one", () => {
  const next = random(2026), below = (n: number): number => Math.floor(next() * n);
  const roles: readonly Role[] = ["activation", "scratch", "gradient"];
  let shared = 0;
  for (let round = 0; round < 60; round++) {
    const pool = [...Array(3 + below(30)).keys()].map((i) => floats(`t${i}`, 1 + below(50), roles[below(3)]!));
    const make = (): Program =>
      program([...Array(1 + below(40)).keys()].map((i) => {
        const operands = [...new Set([...Array(1 + below(5))].map(() => pool[below(pool.length)]!))];
        return step(`s${i}`, operands.slice(1), operands.slice(0, 1));
      }));
    const programs = [...Array(1 + below(3))].map(make);
    const plan = planMemory(programs), steps = programs.flatMap((p) => p.steps);
    const lives = new Map<Tensor, [number, number]>();
    steps.forEach(({ tensors }, at) => tensors.forEach((t) => lives.set(t, [lives.get(t)?.[0] ?? at, at])));
    const used = [...lives.keys()];
    for (const a of used) {
      for (const b of used) {
        if (a === b || bufferOf(plan, a) !== bufferOf(plan, b)) continue;
        const [[from, to], [start, end]] = [lives.get(a)!, lives.get(b)!];
        assert(
          to < start || end < from,
          `round ${round}: ${a.label} lives ${from}-${to}, ${b.label} ${start}-${end}, both in buffer ${
            bufferOf(plan, a)
          }`,
        );
        assertEquals(a.role, b.role, "role of a slot");
        shared++;
      }
    }
    for (const t of used) {
      assert(
        TRANSIENT.has(t.role) && plan.buffers[bufferOf(plan, t)]!.bytes >= bytesOf(t),
        `${t.label} fits its buffer`,
      );
    }
    for (const [i, { role, bytes: size }] of plan.buffers.entries()) {
      const inIt = used.filter((t) => bufferOf(plan, t) === i);
      if (TRANSIENT.has(role)) {
        assertEquals(Math.max(...inIt.map(bytesOf)), size, `round ${round}: bytes of buffer ${i}`);
      }
    }
  }
  assert(shared > 100, `expected tensors to share slots, found ${shared} pairs that do`);
});

test("a kernel may not write a frozen tensor, nor one in a format that the host packs", () => {
  const x = floats("x", 64), frozen = floats("w", 64, "frozen");
  planMemory([program([step("read", [frozen], [x])])]);
  assertThrows(
    () => planMemory([program([step("read", [frozen], [x])]), program([step("update", [x], [frozen])])]),
    'Cannot plan kernel "update": it writes w, which is frozen. Bind it as "read"',
  );
  for (const type of ["f32", "u32", "bf16"] as const) {
    planMemory([program([step("update", [], [tensor("v", [8], "trainable", type)])])]);
  }
  for (const type of ["f16", "int8", "nf4"] as const) {
    assertThrows(
      () => planMemory([program([step("update", [], [tensor("v", [8], "trainable", type)])])]),
      `it writes v, which is stored as ${type}, expected one of [f32, u32, bf16]`,
    );
  }
});
