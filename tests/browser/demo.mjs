// Drives the page of demo/ as a visitor would, in Chromium on SwiftShader: the same training as on the command line, in a Worker.

import { chromium } from "playwright";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, createServer, preview } from "vite";
import { findChromium, repository } from "../../src/cli/setup.mjs";
import { SWITCHES } from "./run.mjs";

const FILE = "browser/demo.mjs";
const PATIENCE_MS = 60_000;
/** Trains fast even on a software adapter. */
const TINY = {
  tokenizer: "byte",
  hidden_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  max_length: 16,
  per_device_train_batch_size: 2,
  further: '{ "sample_tokens": 4 }',
};
/** Of a model that knows nothing: every byte is as likely as any other. */
const UNIFORM_LOSS = Math.log(256);
const configFile = join(repository, "vite.config.ts");

/** `open(file)` gives the report of one file: hear(event), close(). */
export async function runDemo({ filter, open }) {
  const wanted = Object.entries(tests).filter(([name]) => FILE.includes(filter) || name.includes(filter));
  if (wanted.length === 0) return;
  const report = open(FILE);
  // The built page loads in a moment; the sources are some two hundred requests a visit, so only one test takes them.
  const outDir = mkdtempSync(join(tmpdir(), "scrimp-demo-"));
  let server, browser;
  try {
    await build({ configFile, logLevel: "warn", build: { outDir } });
    server = await preview({ configFile, logLevel: "warn", build: { outDir }, preview: { host: "127.0.0.1", port: 0 } });
    browser = await launch(SWITCHES);
    for (const [name, run] of wanted) await runTest(name, run, { browser, url: urlOf(server) }, report);
  } finally {
    await browser?.close();
    await server?.close();
    rmSync(outDir, { recursive: true, force: true });
    report.close();
  }
}

const launch = (args) => chromium.launch({ executablePath: findChromium(), headless: true, args });
const urlOf = (server) => `http://127.0.0.1:${server.httpServer.address().port}/`;

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

// ---- what a visitor does ----------------------------------------------------------------------------------------

async function set(page, settings) {
  await page.evaluate(() => document.querySelector("#settings details").open = true);
  for (const [name, value] of Object.entries(settings)) {
    const field = page.locator(`[name="${name}"]`);
    if (["tokenizer", "optim"].includes(name)) await field.selectOption(String(value));
    else await field.fill(String(value));
  }
}

const state = (page, name) => page.waitForSelector(`body[data-state="${name}"]`);
const step = async (page) => Number((await page.textContent("#step")).split("/")[0].replace(/\D/g, ""));
const loss = async (page) => Number(await page.textContent("#loss"));
const planned = (page) => page.waitForSelector('#memory[data-stale="false"]').then(() => page.textContent("#planned-total"));
const stepAfter = (page, n) => page.waitForFunction((n) => Number(document.querySelector("#step").textContent.split("/")[0].replace(/\D/g, "")) > n, n);
const errorWith = (page, text, id = "error") => page.waitForFunction(([id, text]) => document.getElementById(id).textContent.includes(text), [id, text]);

/** Presses Start and waits for the end. */
async function finish(page) {
  await page.click("#start");
  await page.waitForSelector('body:not([data-state="idle"])');
  await state(page, "idle");
  return await page.textContent("#status");
}

function assert(condition, message) {
  if (!condition) throw new Error(message);
}

function assertEquals(actual, expected, what) {
  assert(actual === expected, `${what}: got ${JSON.stringify(actual)}, want ${JSON.stringify(expected)}`);
}

// ---- the tests --------------------------------------------------------------------------------------------------

const tests = {
  async "plans memory before anything runs, and again when a setting changes"(visit) {
    const page = await visit();
    assert((await page.textContent("#device")).includes("software"), "the device card must tell a software adapter");
    assert(await page.isEnabled("#start") && !(await page.isEnabled("#pause")) && !(await page.isEnabled("#stop")), "only Start is enabled before a run");
    const before = await planned(page);
    await set(page, { optim: "sign_sgd" });
    const after = await planned(page);
    assert(parseFloat(after) < parseFloat(before), `sign_sgd must take less than adamw, got ${after} and ${before}`);
    assert(!(await page.textContent("#ledger")).includes("state"), "sign_sgd has no optimizer state");
    const bars = await page.locator("#bars svg").count(), optimizers = await page.locator("[name=optim] option").count();
    assertEquals(bars, optimizers, "bars, one for each optimizer");
    assertEquals(await page.textContent("#bars .chosen > span"), "sign_sgd", "the chosen bar");
  },

  async "trains, pauses, resumes, stops and starts again"(visit) {
    const page = await visit();
    await set(page, { ...TINY, max_steps: 100000, further: '{ "sample_steps": 50, "sample_tokens": 4, "eval_steps": 50, "warmup_steps": 0 }' });
    await page.click("#start");
    await state(page, "running");
    assert(!(await page.isEnabled("#start")) && await page.isEnabled("#stop"), "Start is disabled and Stop enabled during a run");
    await page.waitForSelector("#samples li");
    await page.click("#pause");
    await state(page, "paused");
    const held = await step(page);
    assert(await loss(page) < UNIFORM_LOSS - 0.5, `the loss must fall, got ${await loss(page)} after ${held} steps`);
    await page.waitForTimeout(700);
    assertEquals(await step(page), held, "the step of a paused run, later");
    await page.click("#pause");
    await stepAfter(page, held);
    await page.click("#stop");
    await state(page, "idle");
    assert((await page.textContent("#status")).startsWith("Stopped after"), "the status tells that the run was stopped");

    await set(page, { max_steps: 12, further: TINY.further });
    assertEquals(await finish(page), "Finished after 12 steps", "the second run");
    const [, plannedText, allocated] = /([\d.]+ \w+) planned, ([\d.]+ \w+) allocated/.exec(await page.textContent("#summary"));
    assertEquals(allocated, plannedText, "allocated memory");
    assert(await page.locator("#samples li").count() > 1, "samples of the second run");
  },

  async "a setting that cannot be is one line of error"(visit) {
    const page = await visit();
    await set(page, { num_attention_heads: 5 });
    await errorWith(page, 'Cannot use "num_attention_heads" 5: it must divide hidden_size 64');
    await page.click("#start");
    await page.waitForTimeout(100);
    await state(page, "idle");
    await set(page, { num_attention_heads: 4, further: '{ "optm": "sgd" }' });
    await errorWith(page, 'did you mean "optim"?');
    await set(page, { further: "" });
    await planned(page);
    assertEquals(await page.textContent("#error"), "", "the error once the setting is right");
  },

  async "a loss that is not finite is one line of error"(visit) {
    const page = await visit();
    await set(page, { ...TINY, optim: "sgd", learning_rate: "1e30", max_steps: 50, further: '{ "max_grad_norm": 0, "warmup_steps": 0 }' });
    assertEquals(await finish(page), "Ended by an error", "the status");
    await errorWith(page, "Use a smaller learning_rate");
    assert(await page.isEnabled("#start"), "Start is enabled again");
  },

  async "refuses an empty file and trains on a text"(visit) {
    const page = await visit();
    const choose = (name, text) => page.setInputFiles("#file", { name, mimeType: "text/plain", buffer: Buffer.from(text) });
    await choose("empty.txt", "");
    await errorWith(page, "got an empty file", "file-error");
    assert(await page.isChecked("[name=data][value=stories]"), "the stories stay chosen");
    await choose("rhyme.txt", "Row, row, row your boat\ngently down the stream.\n".repeat(50));
    await page.waitForFunction(() => document.querySelector("#preview").textContent.includes("rhyme.txt"));
    assert((await page.textContent("#preview pre")).startsWith("Row, row, row"), "the preview shows the first lines");
    assertEquals(await page.textContent("#file-error"), "", "the error once the file is right");
    await set(page, { ...TINY, max_steps: 4 });
    assertEquals(await finish(page), "Finished after 4 steps", "a run on the file");
  },

  async "remembers the settings, and a reload in mid-run is harmless"(visit) {
    const page = await visit();
    await set(page, { ...TINY, max_steps: 100000 });
    await page.click("#start");
    await state(page, "running");
    await page.reload();
    await planned(page);
    assertEquals(await page.inputValue("[name=hidden_size]"), "16", "the width after a reload");
    assert(await page.isEnabled("#start"), "Start is enabled after a reload");
  },

  async "works from the sources"(visit) {
    const server = await createServer({ configFile, logLevel: "warn", clearScreen: false, server: { host: "127.0.0.1", port: 0, hmr: false, watch: null } });
    try {
      await server.listen();
      const page = await visit({ url: urlOf(server) });
      await set(page, { ...TINY, max_steps: 3 });
      assertEquals(await finish(page), "Finished after 3 steps", "a run");
    } finally {
      await server.close();
    }
  },

  async "without WebGPU it says what to do and still plans"(visit) {
    const browser = await launch(["--no-sandbox", "--disable-gpu", "--disable-software-rasterizer"]);
    try {
      const page = await visit({ browser });
      assert((await page.textContent("#device")).includes("Cannot find a WebGPU adapter"), "the device card names the reason");
      assert(!(await page.isEnabled("#start")), "Start is disabled");
      assert(/[KM]iB/.test(await planned(page)), "the memory is planned");
    } finally {
      await browser.close();
    }
  },

  // Last: the browser's GPU process ends here.
  async "a lost device is one line of error, and the next run works"(visit, browser) {
    const page = await visit();
    await set(page, { ...TINY, max_steps: 100000 });
    await page.click("#start");
    await state(page, "running");
    await (await browser.newBrowserCDPSession()).send("Browser.crashGpuProcess");
    await state(page, "idle");
    await errorWith(page, "The GPU device was lost");
    await set(page, { max_steps: 3 });
    assertEquals(await finish(page), "Finished after 3 steps", "a run on the new device");
  },
};
