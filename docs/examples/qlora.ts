// Trains adapters on a model whose frozen weights are kept in four bits (QLoRA, Dettmers et al., 2023).

import { fineTune } from "scrimp";
import { directory } from "scrimp/deno";

const rows = Array.from({ length: 40 }, (_, n) => ({ prompt: `${n} + ${n} = `, completion: `${2 * n}` }));
const run = await fineTune({
  model: directory("base"),
  dataset: rows,
  load_in_4bit: true,
  peft: true,
  max_length: 32,
  max_steps: 10,
});
const { frozen } = run.summary.planned_bytes;
console.log(`${frozen} bytes of frozen weights, for ${run.summary.parameters} parameters`);
run.close();
