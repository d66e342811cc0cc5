// Drives the page of demo/ as a visitor would, in Chromium on SwiftShader: the same training as on the command line, in
// a Worker.

import { chromium } from "playwright";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, preview } from "vite";
import { findChromium, repository } from "../../src/cli/setup.mjs";
import { assert, SkippedError } from "./demo_page.mjs";
import { SWITCHES } from "./run.mjs";

const PATIENCE_MS = 60_000;
export const configFile = join(repository, "vite.config.ts");
/** In this order: the last test of the last file ends the browser's GPU process. */
const FILES = ["demo_fine_tuning", "demo_training"];

/** `open(file)` gives the report of one file: hear(event), close(). */
export async function runDemo({ filter, open }) {
  const wanted = [];
  for (const name of FILES) {
    const file = `browser/${name}.mjs`, { tests } = await import(`./${name}.mjs`);
    const chosen = Object.entries(tests).filter(([name]) => file.includes(filter) || name.includes(filter));
    if (chosen.length > 0) wanted.push([file, chosen]);
  }
  if (wanted.length === 0) return;
  // The built page loads in a moment; the sources are some two hundred requests a visit, so only one test takes them.
  const outDir = mkdtempSync(join(tmpdir(), "scrimp-demo-"));
  let server, browser;
  try {
    await build({ configFile, logLevel: "warn", build: { outDir } });
    server = await preview({
      configFile,
      logLevel: "warn",
      build: { outDir },
      preview: { host: "127.0.0.1", port: 0 },
    });
    browser = await launch(SWITCHES);
    for (const [file, chosen] of wanted) {
      const report = open(file);
      for (const [name, run] of chosen) await runTest(name, run, { browser, url: urlOf(server) }, report);
      report.close();
    }
  } finally {
    await browser?.close();
    await server?.close();
    rmSync(outDir, { recursive: true, force: true });
  }
}

export const launch = (args) => chromium.launch({ executablePath: findChromium(), headless: true, args });
export const urlOf = (server) => `http://127.0.0.1:${server.httpServer.address().port}/`;

async function runTest(name, run, { browser, url }, report) {
  report.hear({ event: "start", name });
  const begun = performance.now(), visits = [];
  const visit = async (options = {}) => {
    const opened = await openPage(options.browser ?? browser, options.url ?? url);
    visits.push(opened);
    return opened.page;
  };
  const end = (outcome, detail) => report.hear({ event: "end", name, outcome, ms: performance.now() - begun, detail });
  try {
    await run(visit, browser);
    const trouble = visits.flatMap(({ trouble }) => trouble);
    assert(trouble.length === 0, `the console of the page must stay silent, got: ${trouble.join("; ")}`);
    end("passed", "");
  } catch (error) {
    if (error instanceof SkippedError) return end("skipped", error.message);
    const seen = await Promise.all(visits.map(({ page }) => describePage(page)));
    end("failed", `${error.stack}\n${seen.join("\n")}`);
  } finally {
    await Promise.all(visits.map(({ page }) => page.context().close().catch(() => {})));
  }
}

/** A page in a context of its own, so that no test sees the settings that another one left. */
async function openPage(browser, url) {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const trouble = [];
  const listen = (message) => ["error", "warning"].includes(message.type()) && trouble.push(message.text());
  page.on("console", listen);
  page.on("worker", (worker) => worker.on("console", listen));
  page.on("pageerror", (error) => trouble.push(String(error)));
  await page.goto(url);
  await page.waitForSelector('#memory[data-stale="false"]');
  return { page, trouble };
}

async function describePage(page) {
  const text = (selector) => page.textContent(selector, { timeout: 1000 }).catch(() => "?");
  return `the page: ${await text("#status")}, step ${await text("#step")}, error "${await text("#error")}"`;
}
