import { validationBatches } from "../data/text.ts";
import { ConfigError, parseConfig } from "../train/config.ts";
import { allowOnly, type Arguments } from "./arguments.ts";
import { loadModel, readDataset } from "./files.ts";
import { openModel } from "./generate.ts";

const SETTINGS = ["dataset", "per_device_train_batch_size", "eval_batches"];

/** Mean loss of a trained model on a text, all of it unless --eval_batches says otherwise. */
export async function evaluate({ json, settings: { model: folder, ...settings } }: Arguments): Promise<number> {
  allowOnly(settings, SETTINGS, "eval", `expected --model and ${SETTINGS.join(", ")}`);
  const config = parseConfig(settings);
  const text = await readDataset(config);
  if (text === undefined) throw new ConfigError("Cannot evaluate without a text: expected --dataset FILE.txt");
  const loaded = await loadModel(folder);
  const ids = loaded.tokenizer.encode(text);
  const batch = config.per_device_train_batch_size;
  const trainer = await openModel(loaded, batch, "evaluate");
  const limit = "eval_batches" in settings ? config.eval_batches : Infinity;
  const eval_loss = await trainer.evaluate([...validationBatches(ids, { batch, length: loaded.max_length, limit })]);
  const result = { eval_loss, perplexity: Math.exp(eval_loss), tokens: ids.length };
  console.log(json ? JSON.stringify(result) : `loss ${eval_loss.toFixed(4)} nats per token, perplexity ${result.perplexity.toFixed(2)}, ${ids.length.toLocaleString("en")} tokens`);
  trainer.destroy();
  return 0;
}
