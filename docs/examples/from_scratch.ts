// Trains a new LLaMA on a text, and saves it to the folder "base", with which the other examples go on.
//   deno run -A docs/examples/from_scratch.ts

import { trainModel } from "scrimp";
import { directory } from "scrimp/deno";

const run = await trainModel({
  // Without a dataset, the embedded stories. A text, or files of text, may stand here.
  hidden_size: 32,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_length: 32,
  tokenizer: "byte",
  optim: "frugal",
  max_steps: 30,
  onEvent: (event) => event.type === "step" && console.log(`step ${event.step}: loss ${event.loss.toFixed(3)}`),
});
console.log(await run.generate("Once", { max_new_tokens: 20 }));
await run.save(directory("base"));
run.close();
