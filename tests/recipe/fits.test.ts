import type { AdapterReport } from "../../src/gpu/device.ts";
import { bytesByRole, totalBytes } from "../../src/plan/ledger.ts";
import { ConfigError, parseConfig } from "../../src/recipe/config/config.ts";
import { checkRunFits, compareOptimizers, planRun, prepareRun, type Run } from "../../src/recipe/run.ts";
import { type OptimizerName, OPTIMIZERS, resolveOptimizer } from "../../src/optim/presets.ts";
import { assert, assertEquals, assertThrows, test } from "../harness.ts";
import { matrixBytes, momentBytes, poolBytes } from "../optim/state_bytes.ts";
import { type Settings, TEXT, TINY } from "../train/tiny.ts";

const PLANNED = { vocab_size: 256, target: "portable" } as const;
const configOf = (settings: Settings) => parseConfig({ ...TINY, max_length: 64, ...settings });
const runOf = (per_device_train_batch_size: number, settings: Settings = {}): Run =>
  prepareRun(configOf({ per_device_train_batch_size, ...settings }), TEXT, "portable");

/** An adapter of which nothing matters but the largest buffer. */
function adapterWith(limit: number): AdapterReport {
  const limits = new Proxy({} as AdapterReport["limits"], { get: () => limit });
  return { name: "made up", vendor: "", architecture: "", software: true, features: [], limits };
}
const gpuWith = (limit: number) => ({ adapter: adapterWith(limit), target: "portable" as const });
const bytesOf = (run: Run): number => totalBytes(bytesByRole(run.plan.buffers));
const largestBuffer = (run: Run): number => Math.max(...run.plan.buffers.map(({ bytes }) => bytes));

/** The refusal's text, and the batch size that it offers. */
function refused(run: Run, limit: number, available: number): { message: string; offered: number } {
  const error = assertThrows(() => checkRunFits(run, gpuWith(limit), available), "Cannot fit the plan");
  assert(error instanceof ConfigError && !error.message.includes("\n"), `${error.name}: ${error.message}`);
  return {
    message: error.message,
    offered: Number(/A per_device_train_batch_size of (\d+) fits/.exec(error.message)?.[1] ?? 0),
  };
}

test("a run that fits is let through, up to the last byte", () => {
  const run = runOf(8);
  checkRunFits(run, gpuWith(largestBuffer(run)), bytesOf(run));
  checkRunFits(run, gpuWith(largestBuffer(run)), Infinity);
});

test("a buffer larger than the adapter allows is refused, with the three largest roles and a batch that fits", () => {
  const run = runOf(64), limit = largestBuffer(runOf(8));
  const { message, offered } = refused(run, limit, Infinity);
  assert(/in one buffer, the adapter allows /.test(message), message);
  const roles = [...message.matchAll(/(\w+) [\d.]+ [KMG]?i?B(?=[,.])/g)].map(([, role]) => role!);
  const bytes = Object.entries(bytesByRole(run.plan.buffers)).sort(([, a], [, b]) => b - a);
  assertEquals(roles.slice(-3), bytes.slice(0, 3).map(([role]) => role), message);
  assertEquals(offered, 8);
  checkRunFits(runOf(offered), gpuWith(limit), Infinity);
});

test("more bytes than are free are refused, with a batch that fits", () => {
  const available = bytesOf(runOf(16)) + 1;
  const { message, offered } = refused(runOf(64), Infinity, available);
  assert(/it needs [\d.]+ [KM]iB, [\d.]+ [KM]iB are free/.test(message), message);
  assertEquals(offered, 16);
  checkRunFits(runOf(offered), gpuWith(Infinity), available);
});

test("a model that is too large itself is refused without the offer of a batch", () => {
  const { message, offered } = refused(runOf(64), 1000, Infinity);
  assertEquals(offered, 0);
  assert(message.includes("Not even a batch of 1 fits: use a smaller max_length, vocab_size or hidden_size"), message);
});

test("a plan is a function of its settings alone", () => {
  const bytes = () => planRun(configOf({}), PLANNED).plan.buffers;
  assertEquals(bytes(), bytes());
});

test("optimizers compared side by side have the bytes that each has alone, and state as their rules say", () => {
  const config = configOf({}), compared = compareOptimizers(config, PLANNED);
  assertEquals(compared.map(({ optim }) => optim), OPTIMIZERS);
  for (const plan of compared) {
    assert("bytes" in plan, JSON.stringify(plan));
    const { optim, bytes } = plan;
    assertEquals(bytes, bytesByRole(planRun({ ...config, optim }, PLANNED).plan.buffers));
    assertEquals(bytes.state, stateBytesOf(optim), optim);
  }
});

test("an optimizer that a model cannot have is one row with the reason", () => {
  const wide = { hidden_size: 4096, num_attention_heads: 32, num_key_value_heads: 32, num_hidden_layers: 1 };
  const compared = compareOptimizers(configOf(wide), PLANNED);
  assertEquals(compared.map(({ optim }) => optim), OPTIMIZERS);
  const refused = compared.filter((plan) => "problem" in plan);
  assertEquals(refused.map(({ optim }) => optim), ["frugal_svd", "galore", "galore_8bit", "fira"]);
  for (const { problem } of refused) assert(problem.includes("k <= 768") && !problem.includes("\n"), problem);
});

/** Parameters of TINY's one layer, its embedding, which is the logits too, and its last norm. */
function stateBytesOf(optim: OptimizerName): number {
  const matrices = { q: [16, 16], k: [8, 16], v: [8, 16], o: [16, 16], gate: [32, 16], down: [16, 32], up: [32, 16] },
    { q, k, v, o, gate, down, up } = matrices;
  const norm = [16], embedding = 256 * 16, spec = resolveOptimizer(optim, {});
  const others = (norms: number): number => momentBytes(spec, embedding) + norms * momentBytes(spec, 16);
  // Two of seven matrices at a time, from the last one down, round and round.
  if (spec.split === "blocks") {
    return others(3) + poolBytes(spec, [[up, down], [gate, o], [v, k], [q, up], [down, gate], [o, v], [k, q]]);
  }
  if (spec.split === "layers") return others(1) + poolBytes(spec, [[norm, q, k, v, o, norm, gate, up, down]]);
  const rankOf = (shape: readonly number[]): number => spec.rank ?? Math.min(...shape) / 4;
  return others(3) + Object.values(matrices).reduce((sum, shape) => sum + matrixBytes(spec, shape, rankOf(shape)), 0);
}

test("updates in the backward pass keep the gradients of a step apart no longer than needed", () => {
  const gradientBytes = (settings: Settings): number =>
    bytesByRole(runOf(2, { num_hidden_layers: 3, ...settings }).plan.buffers).gradient;
  const trainable = bytesByRole(runOf(2, { num_hidden_layers: 3 }).plan.buffers).trainable;
  assertEquals(gradientBytes({}), trainable);
  assert(gradientBytes({ max_grad_norm: 0 }) < trainable, "all gradients are kept");
  assertEquals(gradientBytes({ max_grad_norm: 0, gradient_accumulation_steps: 2 }), trainable);
});
