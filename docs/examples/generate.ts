// Opens a saved model and lets it continue a text: greedily, then by chance.

import { loadModel } from "scrimp";
import { directory } from "scrimp/deno";

const model = await loadModel(directory("base"), { max_length: 32 });
console.log(await model.generate("Once", { max_new_tokens: 20, temperature: 0 }));
for (const seed of [1, 2]) {
  console.log(await model.generate("Once", { max_new_tokens: 20, temperature: 0.8, top_k: 20, seed }));
}
model.close();
