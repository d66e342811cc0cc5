// Trains in a loop of one's own: the run is prepared as the command line does it, the steps are yours.

import { openGpu } from "scrimp/plan";
import { parseConfig, planPrograms, prepareRun, Trainer } from "scrimp/train";

const config = parseConfig({
  hidden_size: 32,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_length: 32,
  tokenizer: "byte",
  optim: "galore",
  max_steps: 40,
});
const gpu = await openGpu();
const run = prepareRun(config, "She sells sea shells by the sea shore. ".repeat(100), gpu.target);
const trainer = await Trainer.create(gpu, run.model, run.programs, planPrograms(run.programs), { seed: config.seed });
while (trainer.steps < config.max_steps) {
  // Warm up for ten steps. Losses stay on the GPU until they are read.
  trainer.step(await run.data.batches(trainer.steps), 1e-2 * Math.min(1, (trainer.steps + 1) / 10));
  if (trainer.steps % 10 === 0) {
    const { loss, grad_norm } = (await trainer.readMetrics()).at(-1)!;
    console.log(`step ${trainer.steps}: loss ${loss.toFixed(3)}, gradient norm ${grad_norm.toFixed(2)}`);
  }
}
trainer.destroy();
