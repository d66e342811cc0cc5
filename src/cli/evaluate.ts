import { openGpu } from "../gpu/device.ts";
import { ConfigError } from "../recipe/config/config.ts";
import { wholeData } from "../recipe/data.ts";
import { openForEvaluation } from "../recipe/inference.ts";
import { quantizedOf } from "../recipe/trained_model.ts";
import type { Evaluation } from "../train/session.ts";
import { allowOnly, type Arguments } from "./arguments.ts";
import { openRequestedModel } from "./generate.ts";
import { readNamedDataset } from "./sources.ts";

const SETTINGS = [
  "model",
  "revision",
  "tokenizer",
  "adapter",
  "dataset",
  "max_length",
  "packing",
  "completion_only_loss",
  "assistant_only_loss",
  "per_device_train_batch_size",
  "eval_batches",
  "load_in_8bit",
  "load_in_4bit",
];

/**
 * Shows the mean loss of a trained model on a dataset, all of it unless --eval_batches says otherwise, and the scores
 * of a classifier.
 */
export async function evaluate({ json, settings }: Arguments): Promise<number> {
  allowOnly(settings, SETTINGS, "eval", `expected ${SETTINGS.map((name) => `--${name}`).join(", ")}`);
  const { config: given, pretrained, classes, tokenizer, adapter, T } = await openRequestedModel(settings);
  const config = { ...given, max_length: T };
  const dataset = await readNamedDataset(config);
  if (dataset === undefined) {
    throw new ConfigError("Cannot evaluate without data: expected --dataset FILE, a text or rows");
  }
  const { packed, batches } = wholeData(
    dataset,
    { config, tokenizer, classes },
    "eval_batches" in settings ? config.eval_batches : Infinity,
  );
  const { session, program } = await openForEvaluation(await openGpu(), pretrained, {
    adapter,
    B: config.per_device_train_batch_size,
    T,
    packed,
    quantized: quantizedOf(config),
  });
  const { eval_loss, labels, ...scores } = await session.evaluate(program, batches);
  const result = { eval_loss, ...(!classes && { perplexity: Math.exp(eval_loss) }), ...scores, labels };
  console.log(json ? JSON.stringify(result) : lineOf(result));
  session.destroy();
  return 0;
}

function lineOf(
  { eval_loss, perplexity, labels, ...scores }: Evaluation & { readonly perplexity?: number },
): string {
  const count = labels.toLocaleString("en");
  if (perplexity !== undefined) {
    return `loss ${eval_loss.toFixed(4)} nats per token, perplexity ${perplexity.toFixed(2)}, ${count} tokens`;
  }
  const { accuracy, f1, matthews_correlation } = scores;
  return `loss ${eval_loss.toFixed(4)} nats, accuracy ${accuracy!.toFixed(4)}, F1 ${
    f1!.toFixed(4)
  }, Matthews correlation ${matthews_correlation!.toFixed(4)}, ${count} texts`;
}
