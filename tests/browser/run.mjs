// Runs the shared tests in Chromium on SwiftShader: they are built once, and each file gets a page of its own.

import { chromium } from "playwright";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, preview } from "vite";
import { findChromium, repository } from "../../src/cli/setup.mjs";

// WebGPU without a GPU: Dawn on SwiftShader's Vulkan, which Chromium hides behind these switches.
export const SWITCHES = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--use-vulkan=swiftshader",
  "--enable-unsafe-swiftshader",
];

/** `open(file)` gives the report of one file: hear(event), fail(name, detail), note(line), close(). */
export async function runInChromium({ files, filter, open, patience }) {
  // From the sources each page would be some three hundred requests.
  const outDir = mkdtempSync(join(tmpdir(), "scrimp-tests-"));
  const common = { configFile: join(repository, "vite.config.ts"), root: repository, logLevel: "warn" };
  const page = join(repository, "tests/browser/index.html");
  let server, browser;
  try {
    await build({ ...common, build: { outDir, minify: false, rolldownOptions: { input: page, treeshake: false } } });
    server = await preview({ ...common, build: { outDir }, preview: { host: "127.0.0.1", port: 0 } });
    const { port } = server.httpServer.address();
    for (const file of files) {
      if (!browser?.isConnected()) {
        browser = await chromium.launch({ executablePath: findChromium(), headless: true, args: SWITCHES });
      }
      const report = open(file);
      const query = new URLSearchParams({ file, filter });
      await runPage(browser, `http://127.0.0.1:${port}/tests/browser/index.html?${query}`, report, patience);
      report.close();
    }
  } finally {
    // A hung page may not let the browser close politely.
    await Promise.race([browser?.close(), sleep(5_000)]);
    await server?.close();
    rmSync(outDir, { recursive: true, force: true });
  }
}

async function runPage(browser, url, report, patience) {
  const page = await browser.newPage();
  let rest = () => {}, started = false;
  const finished = new Promise((resolve, reject) => {
    let timer;
    const expectProgress = () => {
      clearTimeout(timer);
      const limit = started ? patience : Math.min(patience, 30_000);
      timer = setTimeout(() => reject(new Error(`no progress for ${limit / 1000} s`)), limit);
    };
    rest = () => clearTimeout(timer);
    expectProgress();
    page.on("crash", () => reject(new Error("the page crashed")));
    browser.on("disconnected", () => reject(new Error("Chromium ended")));
    // GPU errors that no test caught end up on the console only.
    page.on("console", (message) => isTrouble(message) && report.note(message.text().trim()));
    // Once the page runs, it reports its uncaught errors itself.
    page.on("pageerror", (error) => started || report.note(String(error)));
    page.exposeFunction("scrimpReport", (event) => {
      started = true;
      expectProgress();
      if (event.event === "done") resolve();
      else if (event.event !== "file") report.hear(event);
    }).then(() => page.goto(url)).catch(reject);
  });
  try {
    await finished;
  } catch (error) {
    report.fail(report.running() ?? "the test page", error.message);
  } finally {
    rest();
    await Promise.race([page.close(), sleep(5_000)]);
  }
}

function isTrouble(message) {
  // An absent shared file is an answer to readShared(), not an error.
  const isAbsentFile = message.text().includes("404") && message.location().url.includes("/shared/");
  return ["error", "warning"].includes(message.type()) && !isAbsentFile;
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
