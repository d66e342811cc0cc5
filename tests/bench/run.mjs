// npm run bench                     Scrimp beside jax-js and PyTorch, in alternating blocks
// npm run bench -- --steady         that nothing grows in 1000 steps
// npm run bench -- --kernels        every kernel of a step, beside the adapter's measured peaks
// npm run bench -- --optimizers     what optimizers cost beside AdamW: whole steps, updates, a projector's refresh
// npm run bench -- --loading        a model of 135 million parameters from its file to the device: speed and memory
// npm run bench -- --fine-tuning    what a pretrained model learns and forgets, by method
// npm run bench -- --compilers      what the compilers of real GPUs make of the kernels, without a GPU
// The last three are Deno's alone and take options of their own, see loading.deno.ts, fine_tuning.deno.ts and
// compilers/main.deno.ts. Of all others:
//   --work A|B|C              C is for a real GPU, and only run when asked for; --optimizers has 60M too
//   --runtime deno|chromium   --kernels takes Deno unless told otherwise
//   --gpu                     Chromium uses the machine's GPU rather than SwiftShader
//   --steps N  --rounds N  --steps-per-wait K  --variant V  --clock timestamps|waits  --json
// Prints Markdown that can be pasted into docs/benchmarks.md; progress goes to stderr. See there.

import { cpus, freemem } from "node:os";
import { parseArgs } from "node:util";
import { setup } from "../../src/cli/setup.mjs";
import * as kernels from "./kernels_report.mjs";
import { runScript, RUNTIMES } from "./launch.mjs";
import * as optimizers from "./optimizers_report.mjs";
import { installPeer, PEER } from "./peer.mjs";
import { findPyTorch } from "./pytorch.mjs";
import * as steady from "./steady_report.mjs";
import * as trainers from "./trainers_report.mjs";

/** Steps of a block. A step of work B takes some ten times as long as one of A. */
const STEPS_OF_BLOCK = { A: 10, B: 5, C: 5 };

/** A measurement: the works and runtimes it takes by itself, what it asks of them, and how it is printed. */
const MEASUREMENTS = {
  trainers: {
    works: ["A", "B"],
    runtimes: ["deno", "chromium"],
    task: (work) => ({
      steps: count("steps") ?? STEPS_OF_BLOCK[work],
      stepsPerWait: count("steps-per-wait") ?? 5,
      rounds: count("rounds") ?? 3,
      ...peers(work),
    }),
    report: trainers,
  },
  steady: {
    works: ["A"],
    runtimes: ["deno", "chromium"],
    task: () => ({ steps: count("steps") ?? 1000 }),
    report: steady,
  },
  kernels: {
    works: ["A", "B"],
    runtimes: ["deno"],
    task: () => ({
      rounds: count("rounds") ?? 10,
      variant: choice("variant", ["portable", "portable_small", "tiled"]),
      clock: choice("clock", ["timestamps", "waits"]),
    }),
    report: kernels,
  },
  optimizers: {
    works: ["A", "B", "60M"],
    runtimes: ["deno", "chromium"],
    task: (work) => ({
      ...(work === "60M"
        ? { measurement: "refresh" }
        : { steps: count("steps") ?? STEPS_OF_BLOCK[work], stepsPerWait: count("steps-per-wait") ?? 5 }),
      rounds: count("rounds") ?? 5,
      clock: choice("clock", ["timestamps", "waits"]),
    }),
    report: optimizers,
  },
};

/** Programs of their own, by their flag; they take the arguments that are left. */
const SCRIPTS = {
  "--loading": "tests/bench/loading.deno.ts",
  "--fine-tuning": "tests/bench/fine_tuning.deno.ts",
  "--compilers": "tests/bench/compilers/main.deno.ts",
};

const text = { type: "string" }, flag = { type: "boolean", default: false };
let options;
try {
  const script = Object.keys(SCRIPTS).find((name) => process.argv.includes(name));
  if (script) {
    await setup();
    process.exit(await runScript(SCRIPTS[script], process.argv.slice(2).filter((argument) => argument !== script)));
  }
  ({ values: options } = parseArgs({
    options: {
      ...{ steady: flag, kernels: flag, optimizers: flag, gpu: flag, json: flag, work: text, runtime: text },
      ...{ steps: text, rounds: text, "steps-per-wait": text, variant: text, clock: text },
    },
  }));
  process.exit(await main());
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(2);
}

/**
 * Returns the exit status. The caller exits explicitly, as a browser or a server that failed half-way can keep Node
 * waiting.
 */
async function main() {
  const [measurement = "trainers", other] = ["steady", "kernels", "optimizers"].filter((name) => options[name]);
  if (other) throw new RangeError(`Cannot take --${measurement} and --${other} together: run them one after another`);
  const { task, report, ...all } = MEASUREMENTS[measurement];
  const works = chosen("work", [...new Set([...all.works, "A", "B", "C"])].sort(), all.works),
    runtimes = chosen("runtime", Object.keys(RUNTIMES), all.runtimes);
  const tasks = works.map((work) => ({ measurement, work, ...task(work), availableBytes: freemem() }));
  await setup({ browser: runtimes.includes("chromium") });
  const results = [];
  for (const runtime of runtimes) {
    for (const task of tasks) {
      console.error(`work ${task.work} in ${runtime} ...`);
      const failed = (error) => ({ failure: error instanceof Error ? error.message : String(error) });
      results.push({ runtime, ...task, ...(await RUNTIMES[runtime](task, { hardware: options.gpu }).catch(failed)) });
    }
  }
  const finished = results.filter(({ failure }) => failure === undefined);
  const machine = `${cpus()[0]?.model.trim() ?? "unknown processor"}, ${cpus().length} threads`;
  if (options.json) console.log(JSON.stringify({ machine, peer: PEER, results }, null, 1));
  else if (finished.length > 0) console.log(report.markdown(machine, PEER, finished));
  const problems = [
    ...results.filter(({ failure }) => failure).map(({ runtime, work, failure }) =>
      `${runtime}, ${work}: ${failure.split("\n")[0]}`
    ),
    ...finished.flatMap((result) =>
      report.problems?.(result).map((problem) => `${result.runtime}, ${result.work}: ${problem}`) ?? []
    ),
  ];
  for (const problem of problems) console.error(`bench: ${problem}`);
  return problems.length > 0 ? 1 : 0;
}

/** The contestants that take part in a work beside Scrimp, or the reason why one does not. */
function peers(work) {
  const { reason, ...pytorch } = findPyTorch(work), absent = installPeer();
  return reason ? { absent: { ...absent, pytorch: reason } } : { absent, pytorch };
}

/** The option's value as a list, or `usual` without it. */
function chosen(name, all, usual) {
  const value = choice(name, all);
  return value === undefined ? usual : [value];
}

/** The option's value, one of `all`; undefined without it. */
function choice(name, all) {
  const value = options[name];
  if (value !== undefined && !all.includes(value)) {
    throw new RangeError(`Cannot take --${name} ${value}: expected ${all.join(" or ")}`);
  }
  return value;
}

/** The option's value as a positive integer, undefined without it. */
function count(name) {
  const value = options[name];
  if (value === undefined) return undefined;
  if (!/^[1-9]\d*$/.test(value)) throw new RangeError(`Cannot take --${name} ${value}: expected a positive integer`);
  return Number(value);
}
