// Runs the shared tests in Chromium on SwiftShader: they are built once and run in one page.

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

/**
 * No kernel reads workgroup memory that it has not written. SwiftShader zeroes it word by word, which is nine tenths of
 * the time to compile a tiled kernel (1.9 s instead of 0.2).
 */
const WITHOUT_ZEROING = "--enable-dawn-features=disable_workgroup_init";

/** `open(file)` gives the report of one file: hear(event), fail(name, detail), note(line), close(). */
export async function runInChromium({ files, filter, open, patience }) {
  // From the sources each page would be some three hundred requests.
  const outDir = mkdtempSync(join(tmpdir(), "scrimp-tests-"));
  const common = {
    configFile: join(repository, "vite.config.ts"),
    root: repository,
    appType: "mpa",
    logLevel: "error",
  };
  const input = join(repository, "tests/browser/index.html");
  let server, browser;
  try {
    await build({ ...common, build: { outDir, minify: false, rolldownOptions: { input, treeshake: false } } });
    server = await preview({ ...common, build: { outDir }, preview: { host: "127.0.0.1", port: 0 } });
    const { port } = server.httpServer.address();
    for (let left = files; left.length > 0;) {
      if (!browser?.isConnected()) {
        const args = [...SWITCHES, WITHOUT_ZEROING];
        browser = await chromium.launch({ executablePath: findChromium(), headless: true, args });
      }
      const query = new URLSearchParams({ files: left.join(), filter });
      const address = `http://127.0.0.1:${port}/tests/browser/index.html?${query}`;
      left = await runPage({ browser, address, files: left, open, patience });
    }
  } finally {
    // A hung page may not let the browser close politely.
    await Promise.race([browser?.close(), sleep(5_000)]);
    await server?.close();
    rmSync(outDir, { recursive: true, force: true });
  }
}

/**
 * One page runs file after file, so that a kernel is compiled once. After a file that failed, hung or ended the page,
 * the others get a new one. Gives the files that are left.
 */
async function runPage({ browser, address, files, open, patience }) {
  const page = await browser.newPage(), watch = expectProgress(patience);
  let report, running = -1;
  const next = (file) => {
    report?.close();
    [report, running] = [open(file), files.indexOf(file)];
  };
  const finished = new Promise((resolve, reject) => {
    watch.late = reject;
    page.on("crash", () => reject(new Error("the page crashed")));
    browser.on("disconnected", () => reject(new Error("Chromium ended")));
    // GPU errors that no test caught end up on the console only.
    page.on("console", (message) => isTrouble(message) && report?.note(message.text().trim()));
    // Once the page runs, it reports its uncaught errors itself.
    page.on("pageerror", (error) => report ? undefined : reject(error));
    page.exposeFunction("scrimpReport", (event) => {
      watch.progress();
      if (event.event === "done" || (event.event === "file" && report?.counts.failed > 0)) resolve();
      else if (event.event === "file") next(event.file);
      else report.hear(event);
    }).then(() => page.goto(address)).catch(reject);
  });
  try {
    await finished;
  } catch (error) {
    if (!report) next(files[0]);
    report.fail(report.running() ?? "the test page", error.message);
  } finally {
    watch.end();
    report?.close();
    await Promise.race([page.close(), sleep(5_000)]);
  }
  return files.slice(running + 1);
}

/** Calls `late` once nothing has happened for too long. */
function expectProgress(patience) {
  const watch = { late() {}, progress, end: () => clearTimeout(timer) };
  let timer, limit = Math.min(patience, 30_000);
  const start = () => {
    clearTimeout(timer);
    timer = setTimeout(() => watch.late(new Error(`no progress for ${limit / 1000} s`)), limit);
  };
  function progress() {
    limit = patience;
    start();
  }
  start();
  return watch;
}

function isTrouble(message) {
  // An absent shared file is an answer to readShared(), not an error.
  const isAbsentFile = message.text().includes("404") && message.location().url.includes("/shared/");
  return ["error", "warning"].includes(message.type()) && !isAbsentFile;
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
