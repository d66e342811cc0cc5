import { describeAdapter, requestAdapter, type Variant, variantFor } from "../gpu/device.ts";
import { countParameters } from "../models/parameter.ts";
import { bytesByRole, formatBytes, formatLedger, totalBytes } from "../plan/ledger.ts";
import { ROLES } from "../plan/tensor.ts";
import type { TrainingConfig } from "../train/config.ts";
import { compareOptimizers, fitBudget, planRun } from "../train/run.ts";
import type { Arguments } from "./arguments.ts";
import { readConfig } from "./files.ts";

/** Shows the memory of a run under its own optimizer and under all others. Reads no data and allocates nothing. */
export async function plan(args: Arguments): Promise<number> {
  const asked = await readConfig(args);
  const variant = await variantHere();
  const vocab_size = vocabularyOf(asked);
  const config = fitBudget(asked, vocab_size, variant);
  const own = planRun(config, vocab_size, variant);
  const others = compareOptimizers(config, vocab_size, variant);
  const parameters = countParameters(own.model.parameters);
  if (args.json) {
    const planned_bytes = bytesByRole(own.plan.buffers);
    console.log(JSON.stringify({ parameters, optim: config.optim, optim_args: config.optim_args, planned_bytes, total_bytes: totalBytes(planned_bytes), optimizers: others }));
    return 0;
  }
  console.log(`LLaMA of ${parameters.toLocaleString("en")} parameters, ${config.per_device_train_batch_size} x ${config.max_length} tokens, ${config.optim}${budgetNote(config)}\n`);
  console.log(`${formatLedger(own.plan)}\n\nThe same run under each optimizer:\n`);
  const roles = ROLES.filter((role) => others.some(({ bytes }) => bytes[role] > 0));
  console.log(["optimizer".padEnd(14), ...roles.map((role) => role.padStart(11)), "total".padStart(11)].join(""));
  for (const { optim, bytes } of others) {
    console.log([optim.padEnd(14), ...roles.map((role) => formatBytes(bytes[role]).padStart(11)), formatBytes(totalBytes(bytes)).padStart(11)].join(""));
  }
  return 0;
}

/** What a memory budget has led to. */
export const budgetNote = ({ memory_budget, optim_args }: TrainingConfig): string => (memory_budget === null ? "" : ` with density ${optim_args.density}, the largest within ${memory_budget}`);

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
