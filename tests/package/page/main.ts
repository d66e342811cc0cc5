import { directoryHandle, inWorker } from "scrimp";

const names = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
const read = async (name: string) => new File([await (await fetch(`model/${name}`)).blob()], name);
const model = await Promise.all(names.map(read)); // in a page of yours: files that somebody chose
const dataset = Array.from({ length: 40 }, (_, n) => ({ prompt: `${n} + ${n} = `, completion: `${2 * n}` }));

const scrimp = inWorker(new Worker(new URL("./worker.ts", import.meta.url), { type: "module" }));
const steps: number[] = [];
const onEvent = (event: { type: string; step?: number }) => event.type === "step" && steps.push(event.step!);
const run = await scrimp.fineTune({ model, dataset, peft: { r: 4 }, max_length: 32, max_steps: 6, onEvent });
const { eval_loss } = await run.evaluate(dataset);
const text = await run.generate("7 + 7 = ", { max_new_tokens: 4 });
const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("adapter", { create: true });
await run.save(directoryHandle(folder));
run.close();
document.title = JSON.stringify({ steps, eval_loss, text, files: (await Array.fromAsync(folder.keys())).sort() });
