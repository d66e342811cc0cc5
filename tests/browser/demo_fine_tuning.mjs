// The page of demo/ fine-tunes a pretrained model, and goes on after a reload.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../../src/cli/setup.mjs";
import {
  assert,
  assertEquals,
  errorWith,
  finish,
  outcome,
  planned,
  set,
  SkippedError,
  state,
  stepAfter,
  TINY,
  validation,
} from "./demo_page.mjs";

const FIXTURE = join(repository, "../shared/fixtures/models/stories260K");
/** A step takes some milliseconds on a software adapter. */
const SMALL = { max_length: 16, per_device_train_batch_size: 2, learning_rate: "0.005" };
const RHYME = "Row, row, row your boat\ngently down the stream.\n";

function checkFixture() {
  if (!existsSync(FIXTURE)) throw new SkippedError("there is no ../shared/fixtures/models/stories260K");
}

/** Those of a Hugging Face folder: the fixture has more. */
const modelFiles = () =>
  readdirSync(FIXTURE).filter((name) =>
    /^(config|tokenizer|tokenizer_config|generation_config)\.json$|^model\.safetensors$/.test(name)
  );

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** The hub's answers about the fixture as someone/stories. */
function answerOfHub(request, requests) {
  const { pathname } = new URL(request.url()),
    headers = {
      "Access-Control-Allow-Origin": "*",
      "Access-Control-Allow-Headers": "*",
      "Access-Control-Expose-Headers": "*",
    };
  requests.push(pathname);
  if (request.method() === "OPTIONS") return { status: 204, headers };
  if (pathname.includes("/revision/")) {
    return { headers, json: { _id: "1", id: "someone/stories", sha: COMMIT, lastModified: "2026-01-01T00:00:00Z" } };
  }
  if (pathname.includes("/tree/")) {
    return {
      headers,
      json: modelFiles().map((path) => ({
        type: "file",
        path,
        size: statSync(join(FIXTURE, path)).size,
        oid: "0".repeat(40),
      })),
    };
  }
  const bytes = readFileSync(join(FIXTURE, pathname.split(`/${COMMIT}/`)[1]));
  const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers()["range"]).map(Number);
  return {
    status: 206,
    headers: { ...headers, "Content-Range": `bytes ${start}-${end}/${bytes.length}` },
    body: bytes.subarray(start, end + 1),
  };
}

async function chooseModel(page, change = (bytes) => bytes) {
  checkFixture();
  await page.check("[name=source][value=files]");
  await page.setInputFiles(
    "#model-files",
    modelFiles().map((name) => ({ name, mimeType: "", buffer: change(readFileSync(join(FIXTURE, name)), name) })),
  );
  await page.waitForFunction(() => document.querySelector("#model-facts").textContent.includes("512 tokens"));
}

async function chooseData(page, name, text) {
  await page.setInputFiles("#file", { name, mimeType: "text/plain", buffer: Buffer.from(text) });
  await page.waitForFunction((name) => document.querySelector("#preview").textContent.includes(name), name);
}

/** Presses the button of a result's file. */
async function take(page, file) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(`[data-file="${file}"]`)]);
  assertEquals(download.suggestedFilename(), file.split("/")[1], "the file's name");
  return readFileSync(await download.path());
}

function headerOf(bytes) {
  const length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__: _, ...tensors } = JSON.parse(bytes.subarray(8, 8 + length).toString());
  assertEquals(
    bytes.length,
    8 + length + Math.max(...Object.values(tensors).map(({ data_offsets: [, end] }) => end)),
    "bytes of the file",
  );
  return tensors;
}

const kibibytes = (text) => parseFloat(text) * (text.endsWith("MiB") ? 1024 : 1);

export const tests = {
  async "fine-tunes a folder with LoRA and gives the adapter and the merged model"(visit) {
    const page = await visit();
    await chooseModel(page);
    await set(page, { ...SMALL, tuning: "full" });
    const whole = await planned(page);
    await set(page, { tuning: "lora", r: 4, target_modules: "q_proj, v_proj", base_format: "load_in_4bit" });
    const quantized = await planned(page);
    assert(
      kibibytes(quantized) < kibibytes(whole),
      `a quantized base with adapters takes less than training all, got ${quantized} and ${whole}`,
    );
    assert(
      /frozen/.test(await page.textContent("#ledger")) &&
        /of them trained/.test(await page.textContent("#memory-subject")),
      "the card tells what is frozen and what is trained",
    );

    await chooseData(page, "rhyme.txt", RHYME.repeat(50));
    await set(page, { base_format: "", max_steps: 2, learning_rate: "1e-9", further: '{ "sample_tokens": 4 }' });
    await finish(page);
    const before = await validation(page);
    await set(page, { max_steps: 20, learning_rate: SMALL.learning_rate });
    assertEquals(await finish(page), "Finished after 20 steps", "the run");
    assert(await validation(page) < before - 0.5, `the loss must fall, got ${await validation(page)} after ${before}`);

    const adapter = headerOf(await take(page, "adapter/adapter_model.safetensors"));
    const wanted = [0, 1, 2, 3, 4].flatMap((layer) =>
      ["q_proj", "v_proj"].flatMap((name) =>
        ["A", "B"].map((side) => `base_model.model.model.layers.${layer}.self_attn.${name}.lora_${side}.weight`)
      )
    );
    assertEquals(Object.keys(adapter).sort().join(), wanted.sort().join(), "tensors of the adapter");
    assertEquals(adapter[wanted[0]].shape[0], 4, "the adapter's rank");
    const config = JSON.parse(await take(page, "adapter/adapter_config.json"));
    assertEquals(
      `${config.peft_type} ${config.r} ${config.target_modules}`,
      "LORA 4 q_proj,v_proj",
      "the adapter's settings",
    );
    const merged = headerOf(await take(page, "model/model.safetensors")),
      original = headerOf(readFileSync(join(FIXTURE, "model.safetensors")));
    assertEquals(Object.keys(merged).sort().join(), Object.keys(original).sort().join(), "tensors of the merged model");
    assertEquals(JSON.parse(await take(page, "model/config.json")).model_type, "llama", "the merged model's type");
    assert((await take(page, "model/tokenizer.json")).length > 1000, "the merged model has its tokenizer");
  },

  async "goes on after a reload as if nothing had happened, with the same model alone"(visit) {
    const settings = {
      ...SMALL,
      max_steps: 16,
      further: '{ "sample_tokens": 4, "save_steps": 4, "logging_steps": 1, "eval_steps": 100 }',
    };
    const rows = Array.from(
      { length: 60 },
      (_, i) => JSON.stringify({ text: `Lily had ${i} red balls. She gave ${i % 7} to Tom.` }),
    ).join("\n");
    const begin = async (page) => {
      await chooseModel(page);
      await chooseData(page, "rows.jsonl", rows);
      await set(page, settings);
    };
    const page = await visit();
    await begin(page);
    assertEquals(await finish(page), "Finished after 16 steps", "the undisturbed run");
    const undisturbed = await outcome(page);

    const other = await visit();
    await begin(other);
    await other.click("#start");
    await stepAfter(other, 4);
    await other.click("#pause");
    await state(other, "paused");
    await other.reload();
    await other.click("#kept button");
    await errorWith(
      other,
      "Choose the folder chosen files under Model and the file rows.jsonl under Data again",
      "kept-error",
    );
    await chooseModel(
      other,
      (
        bytes,
        name,
      ) => (name === "model.safetensors"
        ? Buffer.concat([bytes.subarray(0, -4), Buffer.from([0, 0, 128, 63])])
        : bytes),
    );
    await chooseData(other, "rows.jsonl", rows);
    await other.click("#kept button");
    await errorWith(other, "the checkpoint was trained on chosen files (model.safetensors of sha256");
    await chooseModel(other);
    await other.click("#kept button");
    await other.waitForFunction(() => document.querySelector("#status").textContent === "Finished after 16 steps");
    assert(
      (await other.textContent("#run-notes")).includes("Goes on after step"),
      "the page tells from where it goes on",
    );
    assertEquals(await outcome(other), undisturbed, "loss and validation loss");
    assert((await other.textContent("#kept")).includes("all 16 steps"), "the finished run is offered too");
  },

  async "opens a model of the hub, and takes it from the browser's storage the next time"(visit) {
    checkFixture();
    const page = await visit(), requests = [];
    await page.context().route(
      "https://huggingface.co/**",
      (route) => route.fulfill(answerOfHub(route.request(), requests)),
    );
    const open = async () => {
      await page.check("[name=source][value=hub]");
      await page.fill("[name=repository]", "someone/stories");
      await page.click("#open-model");
      await page.waitForFunction(() =>
        document.querySelector("#model-facts").textContent.startsWith("someone/stories: llama")
      );
      await set(page, { ...SMALL, max_steps: 4, further: '{ "sample_tokens": 4 }' });
      return await finish(page);
    };
    assertEquals(await open(), "Finished after 4 steps", "a run of a model of the hub");
    assert(requests.some((path) => path.endsWith("/model.safetensors")), "the weights came from the hub");
    assertEquals(
      JSON.parse(await take(page, "adapter/adapter_config.json")).base_model_name_or_path,
      "someone/stories",
      "the adapter's base",
    );
    requests.length = 0;
    await page.reload();
    await planned(page);
    assertEquals(await open(), "Finished after 4 steps", "the run of the next visit");
    assert(!requests.some((path) => path.includes("/resolve/")), `nothing was fetched again, got ${requests.join()}`);
  },

  async "a full quota is a note, and training goes on"(visit) {
    const page = await visit(), devtools = await page.context().newCDPSession(page);
    await set(page, { ...TINY, hidden_size: 64, max_steps: 12, further: '{ "sample_tokens": 4, "save_steps": 4 }' });
    for (
      const [quotaSize, note] of [[40_000, "Cannot keep checkpoints"], [
        400_000,
        "Cannot save the checkpoint of step 8",
      ]]
    ) {
      await devtools.send("Storage.overrideQuotaForOrigin", { origin: new URL(page.url()).origin, quotaSize });
      assertEquals(await finish(page), "Finished after 12 steps", `a run within ${quotaSize} bytes`);
      assert(
        (await page.textContent("#run-notes")).includes(note),
        `the page tells of the full quota, got ${await page.textContent("#run-notes")}`,
      );
    }
  },

  async "a run of a new model goes on after a reload, and in one tab only"(visit) {
    const page = await visit();
    await set(page, {
      tokenizer: "byte",
      hidden_size: 16,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      ...SMALL,
      max_steps: 100000,
      further: '{ "sample_tokens": 4, "save_steps": 20 }',
    });
    await page.click("#start");
    await stepAfter(page, 40);
    const second = await page.context().newPage();
    await second.goto(page.url());
    await second.waitForSelector("#kept button:enabled");
    await second.click("#kept button");
    await errorWith(second, "another tab does");
    await second.close();
    await page.reload();
    await page.waitForSelector("#kept button:enabled");
    const [, kept] = /step ([\d,]+) of 100,000/.exec(await page.textContent("#kept"));
    await page.click("#kept button");
    await stepAfter(page, Number(kept.replace(/\D/g, "")));
    await page.click("#stop");
    await state(page, "idle");
    const [, steps] = /^Stopped after ([\d,]+) steps/.exec(await page.textContent("#status"));
    await page.waitForFunction(
      (steps) => document.querySelector("#kept").textContent.includes(`step ${steps} of 100,000`),
      steps,
    );
  },

  async "a folder that is no model is one line of error"(visit) {
    const page = await visit();
    await page.check("[name=source][value=files]");
    await errorWith(page, "no folder is open");
    await page.setInputFiles("#model-files", {
      name: "readme.md",
      mimeType: "text/plain",
      buffer: Buffer.from("nothing"),
    });
    await errorWith(page, "it has no config.json", "model-error");
    await page.check("[name=source][value=hub]");
    await page.fill("[name=repository]", "no repository");
    await page.click("#open-model");
    await errorWith(page, "expected owner/name", "model-error");
    await page.check("[name=source][value=new]");
    await planned(page);
    assertEquals(await page.textContent("#error"), "", "the error once a new model is chosen");
  },
};
