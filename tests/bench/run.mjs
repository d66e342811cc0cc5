// npm run bench -- [--work A|B] [--runtime deno|chromium] [--steps N] [--rounds N] [--steps-per-wait K] [--json]
//   Times Scrimp against jax-js on the same work in the same run, in Deno and in Chromium, and prints a Markdown
//   report that can be pasted into docs/benchmarks.md. Progress goes to stderr.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { markdown } from "./report.mjs";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
/** jax-js is no dependency of the project: it is installed here on demand. */
const PEER = "@jax-js/jax@0.1.25";
const PEER_FOLDER = join(PROJECT, "node_modules", ".bench");
/** Of a block. A step of work B takes some ten times as long as one of A. */
const STEPS = { A: 10, B: 5 };
const CHROMIUM = "/usr/bin/chromium";
// Software rendering, as the machines that test this have no GPU. With one, keep the first two only.
const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--use-vulkan=swiftshader",
];

const { values: options } = parseArgs({
  options: {
    work: { type: "string" },
    runtime: { type: "string" },
    steps: { type: "string" },
    rounds: { type: "string", default: "3" },
    "steps-per-wait": { type: "string", default: "5" },
    json: { type: "boolean", default: false },
  },
});

const works = chosen("work", ["A", "B"]);
const runtimes = chosen("runtime", ["deno", "chromium"]);

const absent = installPeer();
const results = [];
for (const runtime of runtimes) {
  for (const work of works) {
    const plan = {
      work,
      steps: count("steps") ?? STEPS[work],
      stepsPerWait: count("steps-per-wait"),
      rounds: count("rounds"),
      absent,
    };
    console.error(`work ${work} in ${runtime} ...`);
    try {
      results.push({ runtime, ...plan, ...(await (runtime === "deno" ? inDeno(plan) : inChromium(plan))) });
    } catch (error) {
      results.push({ runtime, ...plan, failure: error instanceof Error ? error.message : String(error) })
    }
  }
}
const machine = `${cpus()[0]?.model.trim() ?? "unknown processor"}, ${cpus().length} threads`;
console.log(options.json ? JSON.stringify({ machine, peer: PEER, results }, null, 1) : markdown(machine, PEER, results));
// Explicitly, as a browser or a server that failed half-way can keep Node waiting.
process.exit(results.some(({ failure }) => failure) ? 1 : 0);

/** The option's value as a list, or all of `all` without it. */
function chosen(name, all) {
  const value = options[name];
  if (value === undefined) return all;
  if (!all.includes(value)) throw new RangeError(`Cannot take --${name} ${value}: expected ${all.join(" or ")}`);
  return [value];
}

/** The option's value as a positive integer, undefined without it. */
function count(name) {
  const value = options[name];
  if (value === undefined) return undefined;
  if (!/^[1-9]\d*$/.test(value)) throw new RangeError(`Cannot take --${name} ${value}: expected a positive integer`);
  return Number(value);
}

/** Installs jax-js where it is missing. Returns the contestants that cannot take part, with the reason. */
function installPeer() {
  if (existsSync(join(PEER_FOLDER, "node_modules", "@jax-js", "jax", "package.json"))) return {};
  console.error(`Installing ${PEER} into node_modules/.bench, for the comparison only`);
  const npm = spawnSync("npm", ["install", "--no-save", "--prefix", PEER_FOLDER, PEER], {
    encoding: "utf8",
    shell: process.platform === "win32", // npm is npm.cmd there
  });
  if (npm.status === 0) return {};
  const errors = (npm.stderr ?? "").split("\n").filter((line) => line.startsWith("npm error") && !line.includes("complete log"));
  const reason = npm.error?.message ?? (errors.map((line) => line.slice("npm error ".length)).join("; ") || "no reason given");
  return { "jax-js": `npm could not install ${PEER}: ${reason}` };
}

function inDeno(plan) {
  // Mesa complains on stderr without XDG_RUNTIME_DIR.
  const env = { ...process.env };
  env.XDG_RUNTIME_DIR ??= mkdtempSync(join(tmpdir(), "scrimp-bench-"));
  const deno = spawn(
    process.execPath,
    [
      join(PROJECT, "node_modules", "deno", "bin.cjs"),
      ...["run", "--no-check", "--unstable-webgpu", "--unstable-raw-imports", "--allow-all"],
      ...["tests/bench/blocks.deno.ts", JSON.stringify(plan)],
    ],
    { cwd: PROJECT, env, stdio: ["ignore", "pipe", "inherit"] },
  );
  let output = "";
  deno.stdout.setEncoding("utf8").on("data", (text) => (output += text));
  return new Promise((resolve, reject) => {
    deno.on("error", reject);
    deno.on("close", (code) => {
      if (code !== 0) reject(new Error(`Deno ended with code ${code}`));
      else resolve(JSON.parse(output.trimEnd().split("\n").at(-1)));
    });
  });
}

async function inChromium(plan) {
  const { createServer } = await import("vite");
  const { chromium } = await import("playwright");
  const server = await createServer({
    configFile: join(PROJECT, "vite.config.ts"),
    root: PROJECT,
    logLevel: "error",
    // A file saved meanwhile must not reload the page.
    server: { host: "127.0.0.1", port: 0, hmr: false, watch: null },
  });
  let browser;
  try {
    await server.listen();
    browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
    const page = await browser.newPage();
    page.on("pageerror", (error) => console.error(`page: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error") console.error(`page: ${message.text()}`);
    });
    const { port } = server.httpServer.address();
    await page.goto(`http://127.0.0.1:${port}/tests/bench/browser.html`);
    await page.waitForFunction(() => globalThis.benchmark);
    return await page.evaluate((plan) => globalThis.benchmark(plan), plan);
  } finally {
    await browser?.close();
    await server.close();
  }
}
