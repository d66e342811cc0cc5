// The cost of bringing SmolLM-135M's 270 MB of bf16 from a file to the device, as they are and quantized on the way:
// MB a second, memory of the
// host beside the device's buffers, planned bytes and the time until `scrimp plan` has shown them, and seconds of a
// training step.
// npm run bench -- --loading [--rounds N] The weights are random: a folder in a temporary directory. A software
// adapter's buffers are memory of the process, so they are subtracted.

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { writeSafetensors } from "../../src/checkpoint/safetensors/writer.ts";
import { toBf16 } from "../../src/gpu/formats/bf16.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import { fillNormal } from "../../src/random/philox.ts";
import { LLAMA } from "../../src/models/llama.ts";
import { createModel } from "../../src/models/model.ts";
import { bytesByRole, totalBytes } from "../../src/plan/ledger.ts";
import { bytesOf, size } from "../../src/plan/tensor.ts";
import { parseConfig } from "../../src/recipe/config/config.ts";
import { planRun } from "../../src/recipe/run.ts";
import type { LoadingResult, LoadingTask } from "./loading_task.deno.ts";
import { median, table } from "./markdown.mjs";

/** config.json of SmolLM-135M, which has 134 515 008 parameters. */
const SMOLLM = {
  ...{
    model_type: "llama",
    vocab_size: 49152,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
  },
  ...{
    max_position_embeddings: 2048,
    tie_word_embeddings: true,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: "silu",
    torch_dtype: "bfloat16",
  },
};
const LORA = { peft: "lora", max_length: 256, per_device_train_batch_size: 1, gradient_checkpointing: true };
interface Base {
  readonly settings: LoadingTask["settings"];
  /** The same for the command line. */
  readonly flags: readonly string[];
  /** The limit of a run. */
  readonly allowedBytes?: number;
}
/** By the format that the frozen weights of linear layers are kept in. */
const BASES: Readonly<Record<"bf16" | "int8" | "nf4", Base>> = {
  bf16: { settings: LORA, flags: [], allowedBytes: 400e6 },
  int8: { settings: { ...LORA, load_in_8bit: true }, flags: ["--load_in_8bit"] },
  nf4: { settings: { ...LORA, load_in_4bit: true }, flags: ["--load_in_4bit"], allowedBytes: 220e6 },
};
const SPEED_HEAD = ["file in memory, MB/s", "MB a processor second", "file on the disk, MB/s"],
  PLAN_HEAD = ["own ledger shown, s", "its processor time, s", "all ledgers shown, s"];
/** Numbers that are drawn. Tensors are cut from them one after another, at another place each. */
const DRAWN = 1 << 20;

const { values: { rounds: requested } } = parseArgs({ options: { rounds: { type: "string", default: "5" } } });
const rounds = Number(requested);
if (!(Number.isInteger(rounds) && rounds > 0)) {
  throw new RangeError(`Cannot take --rounds ${requested}: expected a positive integer`);
}

const folder = await Deno.makeTempDir({ prefix: "scrimp-loading-" });
try {
  await writeModel();
  console.log(await report());
} finally {
  await Deno.remove(folder, { recursive: true });
}

/** The folder of a model with random weights, as save_pretrained would write it. */
async function writeModel(): Promise<void> {
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(SMOLLM));
  const drawn = new Float32Array(DRAWN);
  fillNormal(drawn, 0.02, 1, "weights");
  const random = new Uint8Array(toBf16(drawn).buffer), ones = new Uint8Array(toBf16(drawn.fill(1)).buffer);
  let at = 0;
  const shapes = new Map(createModel(SMOLLM, { type: "bf16" }).parameters.map(({ value }) => [value.label, value]));
  const tensors = [...shapes].map(([name, value]) => ({
    name,
    dtype: "BF16" as const,
    shape: value.shape,
    bytes: 2 * size(value),
  }));
  using file = await Deno.open(`${folder}/model.safetensors`, { write: true, create: true });
  const chunks = writeSafetensors(tensors, new Map([["format", "pt"]]), async function* (name) {
    const from = name.includes("norm") ? ones : random;
    for (let left = 2 * size(shapes.get(name)!); left > 0;) {
      const chunk = from.subarray(at, Math.min(at + left, from.length));
      yield chunk;
      left -= chunk.length;
      at = (at + chunk.length) % from.length;
    }
  });
  for await (const chunk of chunks) {
    for (let written = 0; written < chunk.length;) written += await file.write(chunk.subarray(written));
  }
  // Only what is on the disk can be dropped from memory.
  await file.syncData();
}

async function report(): Promise<string> {
  const { adapter, peakBytes } = await run({ measurement: "device", settings: {} }),
    names = Object.keys(BASES) as (keyof typeof BASES)[];
  const loading = [["read, and no more", ...speedsOf(await repeat("read", {})), "–", "–", "–", "–"]],
    running: string[][] = [];
  for (const name of names) loading.push([name, ...await loadingOf(name, peakBytes)]);
  for (const name of names) running.push([name, ...await runningOf(name, peakBytes)]);
  const largest = Math.max(...createModel(SMOLLM, { type: "bf16" }).parameters.map(({ value }) => bytesOf(value)));
  return [
    `${cpus()[0]?.model.trim()}, ${cpus().length} threads; ${adapter}; ${rounds} rounds, min / **median** / max. ` +
    `The largest tensor has ${megabytes(largest)} MB; a process that has only opened the device has ${
      megabytes(peakBytes)
    } MB.`,
    "",
    ...table([
      "linear layers in",
      ...SPEED_HEAD,
      "filled on the device, MB",
      "host: compiling, MB",
      "host: loading, MB",
      "host: both, MB",
    ], loading),
    "",
    ...table([
      "linear layers in",
      "planned portable / tiled, MB",
      "planned bytes",
      "allocated bytes",
      ...PLAN_HEAD,
      "a step, s",
      "host: training, MB",
    ], running),
  ].join("\n");
}

/**
 * With what the process takes beside the device, at its peak: what it had when all kernels were compiled, and what
 * loading adds.
 */
async function loadingOf(name: keyof typeof BASES, deviceBytes: number): Promise<string[]> {
  const repeated = await repeat("load", BASES[name].settings), { warm, warm: [{ filledBytes }] } = repeated;
  const compiling = warm.map(({ compiledBytes }) => compiledBytes - deviceBytes);
  const loading = warm.map(({ peakBytes, compiledBytes }) => peakBytes - filledBytes - compiledBytes);
  const both = compiling.map((bytes, i) => bytes + loading[i]!);
  return [
    ...speedsOf(repeated),
    megabytes(filledBytes),
    ...[compiling, loading, both].map((all) => spread(all.map((bytes) => bytes / 1e6), 0)),
  ];
}

async function runningOf(name: keyof typeof BASES, deviceBytes: number): Promise<string[]> {
  const { settings, flags, allowedBytes = Infinity } = BASES[name],
    trained = await run({ measurement: "step", settings }),
    shown: Shown[] = [];
  for (let round = 0; round < rounds; round++) shown.push(await showPlan(flags));
  const planned = (["portable", "tiled"] as const).map((target) => plannedBytes(settings, target));
  const failed = planned.some((bytes) => bytes >= allowedBytes)
    ? `, FAILED: allowed are ${megabytes(allowedBytes)}`
    : "";
  return [
    planned.map(megabytes).join(" / ") + failed,
    ...[trained.plannedBytes, trained.allocatedBytes].map(String),
    ...(["ownSeconds", "processorSeconds", "allSeconds"] as const).map((what) =>
      spread(shown.map((one) => one[what]), 2)
    ),
    trained.secondsOfSteps.map((seconds) => seconds.toFixed(1)).join(),
    megabytes(trained.peakBytes - trained.allocatedBytes - deviceBytes),
  ];
}

/** Rates of a file whose pages are in memory, and, where that can be had, of one that is read from the disk. */
interface Repeated {
  readonly warm: [LoadingResult, ...LoadingResult[]];
  readonly cold: LoadingResult[];
}

async function repeat(measurement: "read" | "load", settings: LoadingTask["settings"]): Promise<Repeated> {
  const warm: LoadingResult[] = [], cold: LoadingResult[] = [];
  for (let round = 0; round < rounds; round++) {
    if (await dropFromMemory()) cold.push(await run({ measurement, settings }));
    warm.push(await run({ measurement, settings }));
  }
  return { warm: warm as Repeated["warm"], cold };
}

/** MB/s of the file, in memory, by the time of all processors, and on the disk. */
function speedsOf({ warm, cold }: Repeated): string[] {
  const speeds = [
    warm.map(speed),
    warm.map(({ bytes, processorSeconds }) => speed({ bytes, seconds: processorSeconds })),
    cold.map(speed),
  ];
  return speeds.map((all) => (all.length > 0 ? spread(all, 0) : "–"));
}

function speed({ bytes, seconds }: Pick<LoadingResult, "bytes" | "seconds">): number {
  return bytes / 1e6 / seconds;
}

/** Makes the system forget the file's pages, which GNU's dd can ask for; nothing else is forgotten. */
async function dropFromMemory(): Promise<boolean> {
  const dd = new Deno.Command("dd", {
    args: [`if=${folder}/model.safetensors`, "iflag=nocache", "count=0"],
    stderr: "null",
  });
  return await dd.output().then(({ success }) => success, () => false);
}

function plannedBytes(settings: LoadingTask["settings"], target: KernelTarget): number {
  const base = { architecture: LLAMA, json: SMOLLM, storedAs: () => "bf16" as const };
  return totalBytes(
    bytesByRole(
      planRun(parseConfig({ model: folder, ...settings }), { vocab_size: SMOLLM.vocab_size, target, base }).plan
        .buffers,
    ),
  );
}

async function run(task: Omit<LoadingTask, "folder">): Promise<LoadingResult> {
  console.error(`${task.measurement} ${JSON.stringify(task.settings)} ...`);
  const script = new URL("loading_task.deno.ts", import.meta.url).pathname;
  const args = [
    "run",
    "--no-check",
    "--unstable-webgpu",
    "--unstable-raw-imports",
    "--allow-all",
    script,
    JSON.stringify({ ...task, folder }),
  ];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  if (!success) throw new Error(`Cannot measure "${task.measurement}": the process failed`);
  return JSON.parse(new TextDecoder().decode(stdout).trimEnd().split("\n").at(-1)!) as LoadingResult;
}

interface Shown {
  /** Until the ledger of the run itself is printed: by the clock, and on all processors. */
  readonly ownSeconds: number;
  readonly processorSeconds: number;
  /** Until the program has ended. */
  readonly allSeconds: number;
}

/** The command line's own program, from its start on. */
async function showPlan(flags: readonly string[]): Promise<Shown> {
  const settings = [
    "--model",
    folder,
    "--peft",
    "lora",
    "--max_length",
    "256",
    "--per_device_train_batch_size",
    "1",
    "--gradient_checkpointing",
    ...flags,
  ];
  const begun = performance.now(), seconds = (): number => (performance.now() - begun) / 1000;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--config", "deno.json", "src/cli/main.ts", "plan", ...settings],
    stdout: "piped",
  }).spawn();
  let text = "", ownSeconds = NaN, processorSeconds = NaN;
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    if (!/^total /m.test(text += part) || !Number.isNaN(ownSeconds)) continue;
    [ownSeconds, processorSeconds] = [seconds(), await processorTime(child.pid)];
  }
  if (!(await child.status).success) throw new Error("Cannot measure the plan: scrimp plan failed");
  return { ownSeconds, processorSeconds, allSeconds: seconds() };
}

/** Seconds in user and in kernel mode of a process that runs, as Linux tells in hundredths; NaN elsewhere. */
async function processorTime(pid: number): Promise<number> {
  const fields = (await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "")).replace(/^.*\) /, "").split(" ");
  return (Number(fields[11] ?? NaN) + Number(fields[12] ?? NaN)) / 100;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

function spread(values: readonly number[], digits: number): string {
  const [least, middle, most] = [Math.min(...values), median(values), Math.max(...values)].map((value) =>
    value.toFixed(digits)
  );
  return `${least} / **${middle}** / ${most}`;
}
