import { describeAdapter, requestAdapter, type Variant, variantFor } from "../gpu/device.ts";
import { countParameters } from "../models/parameter.ts";
import { bytesByRole, formatBytes, formatLedger, totalBytes } from "../plan/ledger.ts";
import { ROLES } from "../plan/tensor.ts";
import type { TrainingConfig } from "../train/config.ts";
import { compareOptimizers, planRun } from "../train/run.ts";
import type { Arguments } from "./arguments.ts";
import { readConfig } from "./files.ts";

/** Shows the memory of a run under its own optimizer and under all others. Reads no data and allocates nothing. */
export async function plan(args: Arguments): Promise<number> {
  const config = await readConfig(args);
  const variant = await variantHere();
  const vocab_size = vocabularyOf(config);
  const own = planRun(config, vocab_size, variant);
  const others = compareOptimizers(config, vocab_size, variant);
  const parameters = countParameters(own.model.parameters);
  if (args.json) {
    const planned_bytes = bytesByRole(own.plan.buffers);
    console.log(JSON.stringify({ parameters, optim: config.optim, planned_bytes, total_bytes: totalBytes(planned_bytes), optimizers: others }));
    return 0;
  }
  console.log(`LLaMA of ${parameters.toLocaleString("en")} parameters, ${config.per_device_train_batch_size} x ${config.max_length} tokens, ${config.optim}\n`);
  console.log(`${formatLedger(own.plan)}\n\nThe same run under each optimizer:\n`);
  const roles = ROLES.filter((role) => others.some(({ bytes }) => bytes[role] > 0));
  console.log(["optimizer".padEnd(12), ...roles.map((role) => role.padStart(11)), "total".padStart(11)].join(""));
  for (const { optim, bytes } of others) {
    console.log([optim.padEnd(12), ...roles.map((role) => formatBytes(bytes[role]).padStart(11)), formatBytes(totalBytes(bytes)).padStart(11)].join(""));
  }
  return 0;
}

/** The byte tokenizer's size is fixed; a BPE vocabulary is as large as asked for unless the text is tiny. */
const vocabularyOf = ({ tokenizer, vocab_size }: TrainingConfig): number => (tokenizer === "byte" ? 256 : vocab_size);

/** A plan needs no GPU: without one it is made for the tiled kernels. */
async function variantHere(): Promise<Variant> {
  try {
    return variantFor(describeAdapter(await requestAdapter()));
  } catch {
    return "tiled";
  }
}
