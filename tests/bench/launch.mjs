// Starts a runtime, hands it a task (tasks.ts), and returns its report.

import { spawn } from "node:child_process";
import { openPyTorch } from "./pytorch.mjs";
import { denoEnvironment, findChromium, findDeno, repository } from "../../src/cli/setup.mjs";
import { join } from "node:path";

const WEBGPU = ["--no-sandbox", "--enable-unsafe-webgpu", "--enable-features=Vulkan"];
/** Without a GPU. Deno needs no switch: it takes whatever Vulkan driver there is. */
const SOFTWARE = ["--use-webgpu-adapter=swiftshader", "--use-vulkan=swiftshader"];
/** Exact times and heap sizes, and a heap that can be collected on demand. */
const MEASURING = [
  "--disable-dawn-features=timestamp_quantization",
  "--enable-precise-memory-info",
  "--js-flags=--expose-gc",
];

export const RUNTIMES = { deno: inDeno, chromium: inChromium };

function spawnDeno(script, args, stdout) {
  const flags = ["--no-check", "--unstable-webgpu", "--unstable-raw-imports", "--v8-flags=--expose-gc", "--allow-all"];
  return spawn(findDeno(), ["run", ...flags, script, ...args], {
    cwd: repository,
    env: denoEnvironment(),
    stdio: ["ignore", stdout, "inherit"],
  });
}

/** Runs a program that prints for itself; gives its exit status. */
export function runScript(script, args) {
  return new Promise((resolve, reject) => {
    spawnDeno(script, args, "inherit").on("error", reject).on("close", (code) => resolve(code ?? 1));
  });
}

function inDeno(task) {
  const deno = spawnDeno("tests/bench/main.deno.ts", [JSON.stringify(task)], "pipe");
  let output = "";
  deno.stdout.setEncoding("utf8").on("data", (text) => (output += text));
  return new Promise((resolve, reject) => {
    deno.on("error", reject);
    deno.on("close", (code, signal) => {
      if (code !== 0) reject(new Error(`Deno ended with ${signal ?? `code ${code}`}`));
      else resolve(JSON.parse(output.trimEnd().split("\n").at(-1)));
    });
  });
}

/** @param hardware whether to use the machine's GPU rather than SwiftShader. */
async function inChromium(task, { hardware }) {
  const { createServer } = await import("vite");
  const { chromium } = await import("playwright");
  const server = await createServer({
    configFile: join(repository, "vite.config.ts"),
    root: repository,
    logLevel: "error",
    // A file saved meanwhile must not reload the page.
    server: { host: "127.0.0.1", port: 0, hmr: false, watch: null },
  });
  const pytorch = openPyTorch(task.pytorch?.command);
  let browser;
  try {
    await server.listen();
    browser = await chromium.launch({
      executablePath: findChromium(),
      args: [...WEBGPU, ...(hardware ? [] : SOFTWARE), ...MEASURING],
    });
    const page = await browser.newPage();
    page.on("pageerror", (error) => console.error(`page: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error") console.error(`page: ${message.text()}`);
    });
    await page.exposeFunction("askPyTorch", pytorch.ask);
    const { port } = server.httpServer.address();
    await page.goto(`http://127.0.0.1:${port}/tests/bench/browser.html`);
    await page.waitForFunction(() => globalThis.benchmark);
    return await page.evaluate((task) => globalThis.benchmark(task), task);
  } finally {
    pytorch.close();
    await browser?.close();
    await server.close();
  }
}
