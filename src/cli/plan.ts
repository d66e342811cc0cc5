import { readModelConfig } from "../checkpoint/model/pretrained.ts";
import { describeAdapter, type KernelTarget, requestAdapter, targetFor } from "../gpu/device.ts";
import { architectureOf } from "../models/model.ts";
import { countParameters } from "../models/parameter.ts";
import { bytesByRole, formatBytes, formatLedger, totalBytes } from "../plan/ledger.ts";
import { formatProgram } from "../plan/format_program.ts";
import { ROLES } from "../plan/tensor.ts";
import type { TrainingConfig } from "../recipe/config/config.ts";
import { withAdapter } from "../recipe/fine_tuning.ts";
import type { BaseModel } from "../recipe/trained_model.ts";
import { compareOptimizers, fitBudget, type OptimizerPlan, planRun } from "../recipe/run.ts";
import type { Arguments } from "./arguments.ts";
import { readConfig } from "./files.ts";
import { resolveSources } from "./sources.ts";

/** Shows the memory of a run under its own optimizer and under all others. Reads no data and allocates nothing. */
export async function plan(args: Arguments): Promise<number> {
  const { show_program = false, ...settings } = args.settings;
  const given = await readConfig({ ...args, settings });
  // The adapter's folder decides its shape.
  const requested = given.adapter === "" ? given : await withAdapter(given, (await resolveSources(given)).adapter);
  const target = await targetHere();
  const planned = {
    vocab_size: vocabularyOf(requested),
    target,
    packed: requested.packing,
    base: await baseOf(requested),
  };
  const config = fitBudget(requested, planned);
  const own = planRun(config, planned);
  const parameters = countParameters(own.model.parameters);
  if (args.json) {
    const planned_bytes = bytesByRole(own.plan.buffers);
    console.log(
      JSON.stringify({
        parameters,
        optim: config.optim,
        optim_args: config.optim_args,
        planned_bytes,
        total_bytes: totalBytes(planned_bytes),
        optimizers: compareOptimizers(config, planned),
        ...(show_program === true && { program: formatProgram(own.programs.train).split("\n") }),
      }),
    );
    return 0;
  }
  console.log(
    `${config.model || "LLaMA"} of ${
      parameters.toLocaleString("en")
    } parameters, ${config.per_device_train_batch_size} x ${config.max_length} tokens, ${config.optim}${
      budgetNote(config)
    }\n`,
  );
  console.log(`${formatLedger(own.plan)}\n\nThe same run under each optimizer:\n`);
  console.log(formatComparison(compareOptimizers(config, planned)));
  if (show_program) console.log(`\n${formatProgram(own.programs.train)}`);
  return 0;
}

/** A table of bytes by role, one optimizer a line, and the reason of each that the model cannot have. */
function formatComparison(plans: readonly OptimizerPlan[]): string {
  const roles = ROLES.filter((role) => plans.some((plan) => "bytes" in plan && plan.bytes[role] > 0));
  const line = (name: string, columns: readonly string[]): string =>
    name.padEnd(14) + columns.map((column) => column.padStart(11)).join("");
  return [
    line("optimizer", [...roles, "total"]),
    ...plans.map((plan) =>
      "bytes" in plan
        ? line(plan.optim, [...roles.map((role) => plan.bytes[role]), totalBytes(plan.bytes)].map(formatBytes))
        : `${plan.optim.padEnd(14)}  ${plan.problem}`
    ),
  ].join("\n");
}

/** A note on the settings that a memory budget has led to. */
export const budgetNote = (
  { memory_budget, optim_args }: TrainingConfig,
): string => (memory_budget === null ? "" : ` with density ${optim_args.density}, the largest within ${memory_budget}`);

/** A pretrained model as its config.json describes it: no weights are opened, and none need be there. */
async function baseOf(config: TrainingConfig): Promise<BaseModel | undefined> {
  if (config.model === "") return undefined;
  const json = await readModelConfig((await resolveSources(config)).model);
  const type = FORMATS[String(json["dtype"] ?? json["torch_dtype"])] ?? "f32";
  return { architecture: architectureOf(json), json, storedAs: () => type };
}

const FORMATS: Readonly<Record<string, "bf16" | "f16">> = { bfloat16: "bf16", float16: "f16" };

/** The byte tokenizer's size is fixed; a BPE vocabulary has the requested size unless the text is tiny. */
const vocabularyOf = ({ tokenizer, vocab_size }: TrainingConfig): number => (tokenizer === "byte" ? 256 : vocab_size);

/** The kernels of this machine's GPU. A plan needs none: it is made for the tiled kernels then. */
async function targetHere(): Promise<KernelTarget> {
  try {
    return targetFor(describeAdapter(await requestAdapter()));
  } catch {
    return "tiled";
  }
}
