// Fine-tunes in a Worker, so that the page that asks for it stays responsive. The calls are the same as without one.

import { inWorker } from "scrimp";
import { directory } from "scrimp/deno"; // in a page: directoryHandle(await showDirectoryPicker(…)) of scrimp

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
const scrimp = inWorker(worker);
const run = await scrimp.fineTune({
  model: directory("base"),
  dataset: Array.from({ length: 40 }, (_, n) => ({ prompt: `${n} + ${n} = `, completion: `${2 * n}` })),
  peft: true,
  max_length: 32,
  max_steps: 5,
  onEvent: (event) => event.type === "step" && console.log(`step ${event.step}: loss ${event.loss.toFixed(3)}`),
});
console.log(await run.generate("7 + 7 = ", { max_new_tokens: 4 }));
await run.close();
worker.terminate();
