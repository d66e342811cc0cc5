import { availableBytes } from "../api/device.ts";
import { writeFolder } from "../checkpoint/model/directory.deno.ts";
import { generateStories } from "../data/corpus.ts";
import { openGpu } from "../gpu/device.ts";
import { countParameters } from "../models/parameter.ts";
import { formatLedger } from "../plan/ledger.ts";
import { type FineTuning, prepareFineTuning } from "../recipe/fine_tuning.ts";
import { train as runTraining } from "../train/loop.ts";
import { resultFiles, resultKinds } from "../recipe/results.ts";
import { checkRunFits, prepareRun, type Run } from "../recipe/run.ts";
import type { Trainer } from "../train/trainer.ts";
import type { TrainingContext } from "../recipe/training_file.ts";
import type { Arguments } from "./arguments.ts";
import { readConfig } from "./files.ts";
import { budgetNote } from "./plan.ts";
import { jsonReport, type Report, textReport } from "./report.ts";
import { openRunFolder, readCheckpoint } from "./run_folder.ts";
import { openFineTuning, readTextDataset } from "./sources.ts";

/** Trains a model, new or pretrained, and leaves a run folder: settings, metrics, loss curve, model or adapter. */
export async function train(args: Arguments): Promise<number> {
  const requested = await readConfig(args);
  const fineTuning = requested.model === ""
    ? undefined
    : await prepareFineTuning(requested, await openFineTuning(requested));
  const config = fineTuning?.config ?? requested;
  const text = fineTuning ? fineTuning.prepared : await readTextDataset(config) ?? generateStories(config.seed);
  const gpu = await openGpu();
  const run = prepareRun(config, text, gpu.target);
  checkRunFits(run, gpu, availableBytes(gpu), fineTuning?.prepared.base);
  const report = args.json ? jsonReport() : textReport(config.max_steps);
  const context = await contextOf(run, fineTuning);
  const resumed = await readCheckpoint(run, context, report.note);

  announce(report, run, gpu.adapter.name);
  if (run.config.memory_budget !== null) report.note(`${run.config.optim}${budgetNote(run.config)}`);
  const folder = await openRunFolder(run, context, report.note);
  let ended = false;
  try {
    const trainer = await runTraining(gpu, run, stopOnInterrupt(report), async (event) => {
      if (await folder.add(event)) report.event(event);
    }, { resumed, load: fineTuning?.load, finish: (trainer) => writeResult(folder.path, run, trainer, fineTuning) });
    trainer.destroy();
    ended = true;
  } finally {
    await folder.close(ended);
    report.close();
  }
  report.end(folder.path);
  return 0;
}

/** The facts that a checkpoint of the run depends on. The base is hashed only if one is read or saved. */
async function contextOf({ config, data }: Run, fineTuning: FineTuning | undefined): Promise<TrainingContext> {
  const isNeeded = config.save_steps > 0 || config.resume_from_checkpoint !== "";
  const base = fineTuning && isNeeded
    ? { name: fineTuning.pretrained.folder.name, files: await fineTuning.pretrained.identity() }
    : null;
  return { base, data: data.fingerprint };
}

/** Writes the adapter of a LoRA run, else the whole model. */
async function writeResult(
  path: string,
  run: Run,
  { executor }: Trainer,
  fineTuning: FineTuning | undefined,
): Promise<void> {
  const kind = resultKinds(run)[0]!;
  await writeFolder(`${path}/${kind}`, resultFiles(kind, run, executor, fineTuning));
}

function announce(report: Report, { config, data, tokenizer, model, plan }: Run, adapter: string): void {
  report.start({
    adapter,
    model: config.model || "LLaMA",
    dataset: config.dataset || "embedded stories",
    parameters: countParameters(model.parameters),
    trainable_parameters: countParameters(model.parameters.filter(({ needsGradient }) => needsGradient)),
    vocab_size: tokenizer.vocab_size,
    data: data.summary,
    ledger: formatLedger(plan),
  });
}

/** The first Ctrl-C ends the run after the current step, and its model is saved; the second ends the process. */
function stopOnInterrupt(report: Report) {
  let stopped = false;
  const stop = (): void => {
    if (stopped) Deno.exit(130);
    stopped = true;
    report.note("stopping after this step; press Ctrl-C again to quit at once");
  };
  Deno.addSignalListener("SIGINT", stop);
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", stop);
  return { stopped: () => stopped, unpaused: () => Promise.resolve() };
}
