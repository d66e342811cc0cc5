import { fineTune, loadModel, type TrainedModel, type TrainEvent, trainModel } from "../../src/index.ts";
import { assert, assertEquals, assertRejects, test } from "../harness.ts";
import { testGpu } from "../test_gpu.ts";
import { TEXT, TINY } from "../train/tiny.ts";
import { countedFolder, type MemoryFolder, memoryFolder, textOf } from "./memory_folder.ts";

// One test opens devices of its own; a page compiles for seconds on each.
const gpu = await testGpu(), { tokenizer: _tokenizer, ...TINY_SETTINGS } = TINY, SMALL = { ...TINY_SETTINGS, gpu };
const ROWS = [...Array(40).keys()].map((n) => ({ prompt: `${n} and ${n} are `, completion: `${2 * n}.` }));

/** A model of six steps, made once for all tests of this file. */
let made: Promise<MemoryFolder> | undefined;
const smallModel = (): Promise<MemoryFolder> =>
  made ??= (async () => {
    const run = await trainModel({ ...TINY, dataset: TEXT, gpu });
    const folder = memoryFolder("small");
    await run.save(folder);
    run.close();
    return folder;
  })();

test("a new model is trained, judged, asked and saved, and the same when it is loaded again", async () => {
  const events: TrainEvent[] = [];
  const run = await trainModel({ ...TINY, dataset: TEXT, onEvent: (event) => void events.push(event) });
  assertEquals([run.summary.steps, run.config.max_length], [6, 16]);
  assertEquals(events.at(-1)?.type, "end");
  const { eval_loss, perplexity, labels } = await run.evaluate(TEXT);
  assert(labels > 1000 && perplexity === Math.exp(eval_loss), `${labels} labels, perplexity ${perplexity}`);
  const text = await run.generate("On day", { max_new_tokens: 8, temperature: 0 });
  assert(text.startsWith("On day"), text);
  const folder = memoryFolder("out");
  await run.save(folder);
  assertEquals([...await run.files()].map(([name]) => name), [...folder.files.keys()]);
  run.close();

  const model = await loadModel(folder, { max_length: 16, per_device_train_batch_size: 2 });
  assertEquals(await model.evaluate(TEXT), { eval_loss, labels, perplexity: Math.exp(eval_loss) });
  assertEquals(await model.generate("On day", { max_new_tokens: 8, temperature: 0 }), text);
  assertEquals((await model.evaluate(TEXT, { eval_batches: 1 })).labels, 32);
  model.close();
});

test("a model is fine-tuned with LoRA on rows in memory; adapter and merged model compute the same", async () => {
  const run = await fineTune({
    ...SMALL,
    model: await smallModel(),
    dataset: ROWS,
    peft: { r: 4 },
    learning_rate: 0.05,
  });
  const before = await evaluation(await loadModel(await smallModel(), { max_length: 16, gpu }));
  const { eval_loss } = await run.evaluate(ROWS), adapter = memoryFolder("adapter"), merged = memoryFolder("merged");
  assert(eval_loss < before - 0.05, `${eval_loss} after, ${before} before`);
  await run.save(adapter);
  await run.save(merged, "model");
  run.close();
  assertEquals(JSON.parse(await textOf(adapter, "adapter_config.json")).r, 4);
  const near = (loss: number): boolean => Math.abs(loss - eval_loss) < 1e-5;
  const adapted = await evaluation(await loadModel(await smallModel(), { adapter, max_length: 16, gpu }));
  const whole = await evaluation(await loadModel([...merged.files.values()], { max_length: 16, gpu }));
  assert(near(adapted) && near(whole), `${eval_loss} in training, adapter ${adapted}, merged ${whole}`);
  const on = await fineTune({ ...SMALL, model: await smallModel(), adapter, dataset: ROWS, max_steps: 1 });
  assertEquals(on.config.peft?.r, 4);
  on.close();
});

async function evaluation(model: Awaited<ReturnType<typeof loadModel>>): Promise<number> {
  const { eval_loss } = await model.evaluate(ROWS);
  model.close();
  return eval_loss;
}

test("files of rows are told by their names, and a file of text is a text", async () => {
  const lines = (rows: readonly object[]): string => rows.map((row) => JSON.stringify(row)).join("\n");
  const train = new File([lines(ROWS)], "train.jsonl"), validation = new File([lines(ROWS.slice(0, 3))], "valid.jsonl");
  const run = await fineTune({
    ...SMALL,
    model: await smallModel(),
    dataset: [train, validation],
    peft: true,
    max_steps: 1,
  });
  const counts = async (dataset: Parameters<TrainedModel["evaluate"]>[0]): Promise<number> =>
    (await run.evaluate(dataset)).labels;
  assertEquals(await counts([train, validation]), await counts(ROWS.slice(0, 3)), "labels of the validation rows");
  assertEquals(await counts([train]), await counts(ROWS), "labels of all rows");
  assertEquals(await counts([new File([TEXT], "text.txt")]), await counts(TEXT), "labels of the text");
  run.close();
});

test("a signal ends a run after its step and keeps the model; before the first step the call rejects", async () => {
  const control = new AbortController();
  const onEvent = (event: TrainEvent): void => void (event.type === "step" && control.abort());
  const options = { ...SMALL, model: await smallModel(), dataset: ROWS, peft: "lora", logging_steps: 1 } as const;
  const run = await fineTune({ ...options, max_steps: 1000, signal: control.signal, onEvent });
  assert(run.summary.steps < 10, `${run.summary.steps} steps`);
  assert((await run.evaluate(ROWS)).labels > 0, "the model is gone");
  run.close();
  await assertRejects(() => fineTune({ ...options, signal: AbortSignal.abort(new Error("never mind")) }), "never mind");
  let read = 0;
  const late = new AbortController();
  const model = countedFolder(await smallModel(), (bytes) => (read += bytes, late.abort(new Error("enough"))));
  await assertRejects(() => fineTune({ ...options, model, signal: late.signal }), "enough");
  assert(read < 10_000, `${read} bytes were read`);
});

test("mistakes are told in one line before anything is read", async () => {
  const model = await smallModel();
  const cases: [() => Promise<unknown>, string][] = [
    [() => fineTune({ model, dataset: ROWS, ...{ learning_rat: 1 } }), 'did you mean "learning_rate"'],
    [() => fineTune({ model, dataset: ROWS, ...{ output_dir: "x" } }), "Save the result where you want it"],
    [() => fineTune({ model, dataset: [] }), "it is empty"],
    [() => fineTune({ model: "nobody", dataset: ROWS }), 'expected "owner/name"'],
    [() => fineTune({ model, dataset: ROWS, load_in_4bit: true }), "only frozen weights are quantized"],
    [() => trainModel({ dataset: ROWS }), "expected a text"],
    [() => loadModel(memoryFolder("nothing")), "it has no config.json"],
  ];
  for (const [call, message] of cases) await assertRejects(call, message);
  const run = await fineTune({ ...SMALL, model, dataset: ROWS, max_steps: 1 });
  await assertRejects(() => run.files("adapter"), "it has trained no adapter");
  run.close();
});
