import { fineTune, loadModel } from "scrimp";
import { directory } from "scrimp/deno";

const dataset = Array.from({ length: 40 }, (_, n) => ({ prompt: `${n} + ${n} = `, completion: `${2 * n}` }));
const steps: number[] = [];
const run = await fineTune({
  model: directory("model"),
  dataset,
  peft: { r: 4 },
  max_length: 32,
  max_steps: 6,
  onEvent: (event) => event.type === "step" && steps.push(event.step),
});
const { eval_loss } = await run.evaluate(dataset), text = await run.generate("7 + 7 = ", { max_new_tokens: 4 });
await run.save(directory("adapter"));
run.close();
const again = await loadModel(directory("model"), { adapter: directory("adapter"), max_length: 32 });
console.log(JSON.stringify({ steps, eval_loss, text, again: (await again.evaluate(dataset)).eval_loss }));
again.close();
