import { fineTune, inWorker, loadModel, type TrainEvent, trainModel } from "../../src/index.ts";
import { assert, assertEquals, assertRejects, test } from "../harness.ts";
import { testGpu } from "../test_gpu.ts";
import { TEXT, TINY } from "../train/tiny.ts";
import { piecesOf } from "../../src/checkpoint/model/save.ts";
import { blobSource } from "../../src/checkpoint/source/blob.ts";
import { memoryFolder } from "./memory_folder.ts";

const { tokenizer: _tokenizer, ...SMALL } = TINY;
const ROWS = [...Array(40).keys()].map((n) => ({ prompt: `${n} and ${n} are `, completion: `${2 * n}.` }));

const newWorker = (): Worker => new Worker(new URL("./worker_script.ts", import.meta.url), { type: "module" });
/** Numbers that do not depend on the clock. */
const numbersOf = ({ eval_loss, train_loss, steps, labels }: { [key: string]: unknown }): unknown => ({
  eval_loss,
  train_loss,
  steps,
  labels,
});

test("in a Worker every call gives what it gives here", async () => {
  const worker = newWorker(), there = inWorker(worker);
  const base = memoryFolder("base"), made = await there.trainModel({ ...TINY, dataset: TEXT });
  const same = await trainModel({ ...TINY, dataset: TEXT, gpu: await testGpu() });
  assertEquals(numbersOf({ ...made.summary }), numbersOf({ ...same.summary }));
  assertEquals(made.config, same.config);
  await made.save(base);
  for (const [name, contents] of await same.files()) {
    const bytes = new Uint8Array(await new Blob(await Array.fromAsync(piecesOf(contents))).arrayBuffer());
    assertEquals(await base.files.get(name)!.bytes(), bytes, name);
  }
  made.close(), same.close();

  const events: TrainEvent[] = [];
  const options = { ...SMALL, model: base, peft: { r: 4 }, logging_steps: 1 };
  const lines = new Blob(ROWS.map((row) => `${JSON.stringify(row)}\n`));
  const dataset = { train: [blobSource("rows.jsonl", lines)], validation: [] };
  const run = await there.fineTune({ ...options, dataset, onEvent: (event) => void events.push(event) });
  const local = await fineTune({ ...options, dataset: ROWS });
  assertEquals(numbersOf({ ...run.summary }), numbersOf({ ...local.summary }));
  assertEquals(events.flatMap((event) => (event.type === "step" ? [event.step] : [])), [1, 2, 3, 4, 5, 6]);
  assertEquals(await run.evaluate(ROWS), await local.evaluate(ROWS));
  assertEquals(
    await run.generate("7 and 7", { max_new_tokens: 5 }),
    await local.generate("7 and 7", { max_new_tokens: 5 }),
  );
  const adapter = memoryFolder("adapter");
  await run.save(adapter);
  run.close(), local.close();

  const loaded = await there.loadModel([...base.files.values()], { adapter, max_length: 16 });
  const here = await loadModel(base, { adapter, max_length: 16 });
  assertEquals(await loaded.evaluate(ROWS), await here.evaluate(ROWS));
  loaded.close(), here.close();
  worker.terminate();
});

test("in a Worker a signal ends a run and keeps the model, and errors keep their words", async () => {
  const worker = newWorker(), there = inWorker(worker), model = memoryFolder("base"), control = new AbortController();
  const made = await there.trainModel({ ...TINY, dataset: TEXT, max_steps: 1 });
  await made.save(model);
  made.close();
  const onEvent = (event: TrainEvent): void => void (event.type === "step" && control.abort());
  const options = { ...SMALL, model, dataset: ROWS, max_steps: 100_000, logging_steps: 1 };
  const run = await there.fineTune({ ...options, signal: control.signal, onEvent });
  assert(run.summary.steps < 1000 && (await run.evaluate(ROWS)).labels > 0, `${run.summary.steps} steps`);
  await assertRejects(() => run.files("adapter"), "it has trained no adapter");
  run.close();
  await assertRejects(() => there.fineTune({ ...options, signal: AbortSignal.abort(new Error("not now")) }), "not now");
  const late = new AbortController(), reason = new Error("enough");
  const compiling = (event: TrainEvent): void => void (event.type === "compiling" && late.abort(reason));
  const rejected = await assertRejects(
    () => there.fineTune({ ...options, signal: late.signal, onEvent: compiling }),
    "enough",
  );
  assert(rejected === reason, "another reason");
  const wrong = await assertRejects(() => there.fineTune({ ...options, ...{ learning_rat: 1 } }), "did you mean");
  assertEquals(wrong.name, "ConfigError");
  await assertRejects(() => there.loadModel(memoryFolder("nothing")), "it has no config.json");
  worker.terminate();
});

test("a Worker whose script does not load is told, not waited for", async () => {
  // Not in the form that Vite follows, which would look for the script.
  const absent = `${import.meta.url}.absent.js`, worker = new Worker(absent, { type: "module" });
  const there = inWorker(worker);
  worker.addEventListener("error", (event) => event.preventDefault());
  await assertRejects(() => there.trainModel(TINY), 'Its script must import "scrimp/worker"');
  worker.terminate();
});
