import { assertEquals, test } from "../harness.ts";
import { type Shape, subject } from "./run_optimizer.ts";
import { matrixBytes, momentBytes, poolBytes } from "./state_bytes.ts";
import { noClip } from "../../src/optim/step/clip.ts";
import type { OptimizerSpec } from "../../src/optim/optimizer_spec.ts";
import { type OptimizerName, resolveOptimizer } from "../../src/optim/presets.ts";
import { scheduleTensor } from "../../src/optim/step/schedule.ts";
import { bytesByRole } from "../../src/plan/ledger.ts";
import { planMemory } from "../../src/plan/memory.ts";
import { Recorder } from "../../src/plan/recorder.ts";
import { bytesOf, tensor } from "../../src/plan/tensor.ts";

/** The shapes of a 60M model's feed-forward layers, and a wide one. */
const SHAPES: readonly Shape[] = [[1376, 512], [96, 256]];
const RULES = ["adam", "adam_hf", "lion", "sgd"] as const;

/** State that the plan of all programs has buffers for, and that the optimizer names. */
function planned(
  optim: OptimizerName,
  changes: Partial<OptimizerSpec>,
  shapes: readonly Shape[],
): { readonly spec: OptimizerSpec; readonly bytes: number } {
  const one = subject(optim, resolveOptimizer(optim, { update_gap: 3, ...changes }), shapes),
    schedule = scheduleTensor("schedule"),
    clip = noClip();
  const programs = one.optimizer.stepKinds.map((stepKind) => {
    const r = new Recorder({ target: "portable", training: true });
    for (const variable of one.variables) {
      one.optimizer.record(r, stepKind, variable, tensor("gradient", variable.value.shape, "gradient"), {
        schedule,
        clip,
      });
    }
    return { name: stepKind, steps: r.steps };
  });
  const bytes = bytesByRole(planMemory(programs).buffers).state,
    named = new Set([...one.optimizer.state.values()].flat());
  assertEquals(
    [...named].reduce((sum, state) => sum + bytesOf(state), 0),
    bytes,
    `${optim}: the tensors of Optimizer.state`,
  );
  return { spec: one.spec, bytes };
}

function check(
  optim: OptimizerName,
  changes: Partial<OptimizerSpec>,
  expected: (spec: OptimizerSpec, shape: Shape) => number,
): void {
  for (const shape of SHAPES) {
    const { spec, bytes } = planned(optim, changes, [shape]);
    assertEquals(bytes, expected(spec, shape), `${optim} ${JSON.stringify(changes)} (${shape})`);
  }
}

test("two moments a number for AdamW, one for lion and sgd, none for signs and normalised gradients", () => {
  check("adamw", {}, (_, [m, n]) => 8 * m * n);
  for (const optim of ["lion", "sgd"] as const) check(optim, {}, (_, [m, n]) => 4 * m * n);
  for (const optim of ["sign_sgd", "frugal_zero", "scale"] as const) check(optim, {}, () => 0);
});

test("8-bit moments: a byte a number and four for each 256, in whole blocks", () => {
  check("adamw_8bit", {}, (_, [m, n]) => 2 * (m * n + (4 * m * n) / 256));
  assertEquals(planned("adamw_8bit", {}, [[100, 41]]).bytes, 2 * 260 * 17);
  assertEquals(planned("adamw_8bit", {}, [[63, 65]]).bytes, 8 * 63 * 65, "4095 numbers");
});

test(
  "columns, rows and elements: moments of what is selected, and a bit an element for which " +
    "elements they are",
  () => {
    for (const density of [0.25, 0.3, 0.01]) {
      check("frugal", { density }, (_, [m, n]) => 8 * m * Math.floor(density * n));
      check("frugal", { split: "rows", density }, (_, [m, n]) => 8 * n * Math.floor(density * m));
      check(
        "frugal",
        { split: "randk", density },
        (_, [m, n]) => 8 * Math.floor(density * m * n) + 4 * Math.ceil((m * n) / 32),
      );
    }
    check("frugal", { density_end: 0.5 }, (_, [m, n]) => 8 * m * Math.floor(0.5 * n));
    check("frugal", { inactive_update_rule: "fira" }, (_, [m, n]) => 8 * m * Math.floor(0.25 * n) + 4);
  },
);

test("a low rank: moments along the larger side, a basis along the smaller, and one number for the limiter", () => {
  for (const rank of [1, 32, 96]) {
    const svd = (_: OptimizerSpec, [m, n]: Shape): number => 4 * rank * (2 * Math.max(m, n) + Math.min(m, n));
    for (const optim of ["frugal_svd", "galore"] as const) check(optim, { rank }, svd);
    check("fira", { rank }, (spec, shape) => svd(spec, shape) + 4);
    for (const optim of ["apollo", "apollo_mini"] as const) {
      check(optim, { rank }, (_, [m, n]) => 8 * rank * Math.max(m, n) + 4);
    }
    check("galore", { rank, proj: "dct" }, (_, [m, n]) => 8 * rank * Math.max(m, n) + 4 * rank);
    check("galore", { rank, proj_type: "full" }, (_, [m, n]) => 8 * rank ** 2 + 4 * rank * (m + n));
    check(
      "galore",
      { rank, proj: "random_orthogonal", proj_type: "reverse_std" },
      (_, [m, n]) => 4 * rank * (2 * Math.min(m, n) + Math.max(m, n)),
    );
  }
  // A quarter of the smaller side: 128 of 512, 24 of 96.
  check("galore", {}, (_, [m, n]) => 4 * (Math.min(m, n) / 4) * (2 * Math.max(m, n) + Math.min(m, n)));
  check(
    "galore_8bit",
    { rank: 32 },
    (_, [m, n]) => 2 * 260 * Math.ceil((32 * Math.max(m, n)) / 256) + 4 * 32 * Math.min(m, n),
  );
});

test("blocks: the largest set of matrices, each rounded up to 256 numbers", () => {
  const shapes: readonly Shape[] = [[1376, 512], [96, 256], [7, 9], [512, 512]],
    rounded = [1376 * 512, 96 * 256, 256, 512 * 512];
  const pairs = [rounded[3]! + rounded[2]!, rounded[1]! + rounded[0]!];
  assertEquals(planned("frugal_blocks", { density: 0.5 }, shapes).bytes, 8 * Math.max(...pairs));
  assertEquals(
    planned("frugal_blocks", { density: 0.5, block_order: "random" }, shapes).bytes,
    8 * (rounded[0]! + rounded[3]!),
    "any two may come",
  );
  assertEquals(planned("frugal_blocks", { density: 0.25 }, shapes).bytes, 8 * rounded[0]!);
  assertEquals(planned("frugal_blocks", { density: 0 }, shapes).bytes, 0);
});

test("the formulas that other tests share say the same, for every rule", () => {
  const others: Partial<OptimizerSpec>[] = [{}, { inactive_update_rule: "no" }, { optim_bits: 8 }, {
    optim_bits: 8,
    density: 0.1,
  }];
  for (const active_update_rule of RULES) {
    for (const split of ["all", "columns", "rows", "randk"] as const) {
      for (const own of others) check("frugal", { active_update_rule, split, ...own }, matrixBytes);
    }
    for (const proj of ["svd", "dct", "random", "random_orthogonal"] as const) {
      for (const proj_type of ["std", "full"] as const) {
        check("fira", { active_update_rule, proj, proj_type, rank: 20 }, (spec, shape) => matrixBytes(spec, shape, 20));
      }
    }
    const { spec, bytes } = planned("frugal_blocks", { active_update_rule, density: 1 }, SHAPES);
    assertEquals(bytes, poolBytes(spec, [SHAPES]));
    assertEquals(bytes, momentBytes(spec, (1376 * 512) + (96 * 256)), "whole blocks already");
  }
});
