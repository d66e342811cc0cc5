// Fine-tunes the model of from_scratch.ts with LoRA on rows in memory, and saves the adapter, which opens in PEFT.

import { fineTune } from "scrimp";
import { directory } from "scrimp/deno";

const rows = Array.from({ length: 40 }, (_, n) => ({ prompt: `${n} + ${n} = `, completion: `${2 * n}` }));
const run = await fineTune({
  model: directory("base"),
  dataset: rows, // or files of rows, as readDataset("rows.jsonl") of scrimp/deno opens them
  peft: { r: 8, target_modules: ["q_proj", "v_proj"] },
  learning_rate: 0.01,
  max_length: 32,
  max_steps: 20,
});
console.log(`loss ${run.summary.train_loss.toFixed(3)}`);
await run.save(directory("adapter"));
await run.save(directory("merged"), "model"); // the model with the adapter in it, for transformers
run.close();
