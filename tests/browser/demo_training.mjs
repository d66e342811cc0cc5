// The page of demo/ trains a new model.

import { createServer } from "vite";
import { configFile, launch, urlOf } from "./demo.mjs";
import {
  assert,
  assertEquals,
  errorWith,
  finish,
  loss,
  outcome,
  planned,
  set,
  state,
  step,
  stepAfter,
  TINY,
} from "./demo_page.mjs";

/** The loss of a model that knows nothing: every byte is as likely as any other. */
const UNIFORM_LOSS = Math.log(256);

export const tests = {
  async "plans memory before anything runs, and again when a setting changes"(visit) {
    const page = await visit();
    assert((await page.textContent("#device")).includes("software"), "the device card must tell a software adapter");
    assert(
      await page.isEnabled("#start") && !(await page.isEnabled("#pause")) && !(await page.isEnabled("#stop")),
      "only Start is enabled before a run",
    );
    const before = await planned(page);
    await set(page, { optim: "sign_sgd" });
    const after = await planned(page);
    assert(parseFloat(after) < parseFloat(before), `sign_sgd must take less than adamw, got ${after} and ${before}`);
    assert(!(await page.textContent("#ledger")).includes("state"), "sign_sgd has no optimizer state");
    const bars = await page.locator("#bars svg").count(),
      optimizers = await page.locator("[name=optim] option").count();
    assertEquals(bars, optimizers, "bars, one for each optimizer");
    assertEquals(await page.textContent("#bars .chosen > span"), "sign_sgd", "the chosen bar");
  },

  async "trains, pauses, resumes, stops and starts again"(visit) {
    const page = await visit();
    await set(page, {
      ...TINY,
      max_steps: 100000,
      further: '{ "sample_steps": 50, "sample_tokens": 4, "eval_steps": 50, "warmup_steps": 0 }',
    });
    await page.click("#start");
    await state(page, "running");
    assert(
      !(await page.isEnabled("#start")) && await page.isEnabled("#stop"),
      "Start is disabled and Stop enabled during a run",
    );
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
    assert(
      (await page.textContent("#status")).startsWith("Stopped after"),
      "the status tells that the run was stopped",
    );

    await set(page, { max_steps: 12, further: TINY.further });
    assertEquals(await finish(page), "Finished after 12 steps", "the second run");
    const [, plannedText, allocated] = /([\d.]+ \w+) planned, ([\d.]+ \w+) allocated/.exec(
      await page.textContent("#summary"),
    );
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

  async "resets to the defaults, keeps the error of a start right after a change, plans a wide model"(visit) {
    const page = await visit();
    await set(page, { hidden_size: 128, max_steps: 7 });
    await page.click("#reset-settings");
    await page.waitForFunction(() => document.querySelector("[name=hidden_size]").value === "64");
    assertEquals(await page.inputValue("[name=max_steps]"), "200", "Steps after a reset");
    await planned(page);

    await page.check("[name=data][value=file]");
    await page.click("#start");
    await errorWith(page, "Cannot");
    const error = await page.textContent("#error");
    await page.waitForTimeout(400);
    assertEquals(await page.textContent("#error"), error, "the error after the keys have rested");
    await page.check("[name=data][value=stories]");

    await set(page, { hidden_size: 4096, num_attention_heads: 32 });
    await page.waitForFunction(() => document.querySelector("#bars").textContent.includes("k <= 768"));
    await planned(page);
    const rows = await page.locator("#bars .bar").count();
    assertEquals(rows, await page.locator("[name=optim] option").count(), "rows of optimizers");
    assertEquals(await page.textContent("#error"), "", "the error of a wide model");
  },

  async "a second run of a name leaves the first alone, and a finished run trains further"(visit) {
    const page = await visit();
    await set(page, { ...TINY, max_steps: 60, run_name: "twice" });
    assertEquals(await finish(page), "Finished after 60 steps", "the first run");
    await set(page, { max_steps: 55 });
    assertEquals(await finish(page), "Finished after 55 steps", "the second run");
    assertEquals(await page.inputValue("[name=run_name]"), "twice 2", "its name");
    const kept = await page.textContent("#kept-runs");
    assert(kept.includes("“twice 2”") && kept.includes("“twice” of"), `both runs are kept, got ${kept}`);

    await set(page, { max_steps: 80 });
    await page.locator("#kept-runs li", { hasText: "“twice” of" }).locator("button").click();
    await page.waitForSelector('body:not([data-state="idle"])');
    await state(page, "idle");
    assertEquals(await page.textContent("#status"), "Finished after 80 steps", "the run that was trained further");
    const notes = await page.textContent("#run-notes");
    assert(notes.includes("Goes on after step 60") && notes.includes("max_steps was 60, now 80"), notes);
  },

  async "a loss that is not finite is one line of error"(visit) {
    const page = await visit();
    await set(page, {
      ...TINY,
      optim: "sgd",
      learning_rate: "1e30",
      max_steps: 50,
      further: '{ "max_grad_norm": 0, "warmup_steps": 0 }',
    });
    assertEquals(await finish(page), "Ended by an error", "the status");
    await errorWith(page, "Use a smaller learning_rate");
    assert(await page.isEnabled("#start"), "Start is enabled again");
  },

  async "refuses an empty file and trains on a text"(visit) {
    const page = await visit();
    const choose = (name, text) =>
      page.setInputFiles("#file", { name, mimeType: "text/plain", buffer: Buffer.from(text) });
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
    const server = await createServer({
      configFile,
      logLevel: "warn",
      clearScreen: false,
      server: { host: "127.0.0.1", port: 0, hmr: false, watch: null },
    });
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
      assert(
        (await page.textContent("#device")).includes("Cannot find a WebGPU adapter"),
        "the device card names the reason",
      );
      assert(!(await page.isEnabled("#start")), "Start is disabled");
      assert(/[KM]iB/.test(await planned(page)), "the memory is planned");
    } finally {
      await browser.close();
    }
  },

  // Last: the browser's GPU process ends here.
  async "a lost device is opened again, and the run goes on with the same losses"(visit, browser) {
    const page = await visit(), settings = { ...TINY, max_steps: 1000 };
    await set(page, settings);
    assertEquals(await finish(page), "Finished after 1,000 steps", "the undisturbed run");
    const undisturbed = await outcome(page);
    await page.click("#start");
    await state(page, "running");
    await stepAfter(page, 200);
    await (await browser.newBrowserCDPSession()).send("Browser.crashGpuProcess");
    await page.waitForFunction(() =>
      document.querySelector("#run-notes").textContent.includes("The GPU was lost and opened again")
    );
    await state(page, "idle");
    assertEquals(await page.textContent("#status"), "Finished after 1,000 steps", "the run that lost its device");
    assertEquals(await outcome(page), undisturbed, "loss and validation loss");
  },
};
