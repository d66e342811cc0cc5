// Opens a saved model, with or without an adapter, and measures its loss on a dataset.

import { loadModel } from "scrimp";
import { directory } from "scrimp/deno";

const rows = Array.from({ length: 40 }, (_, n) => ({ prompt: `${n} + ${n} = `, completion: `${2 * n}` }));
for (const adapter of [undefined, directory("adapter")]) {
  const model = await loadModel(directory("base"), { adapter, max_length: 32 });
  const { eval_loss, perplexity, labels } = await model.evaluate(rows);
  console.log(`${adapter ? "adapted" : "base"}: loss ${eval_loss}, perplexity ${perplexity}, over ${labels} tokens`);
  model.close();
}
