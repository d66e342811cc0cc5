import { modelFiles } from "../checkpoint/model_files.ts";
import type { NamedTensor } from "../checkpoint/safetensors.ts";
import { openGpu } from "../gpu/device.ts";
import { mergedWeight, parametersOf } from "../models/factorised.ts";
import { countParameters } from "../models/parameter.ts";
import { formatLedger } from "../plan/ledger.ts";
import { train as runTraining } from "../train/loop.ts";
import { checkRunFits, prepareRun, type Run } from "../train/run.ts";
import type { Trainer } from "../train/trainer.ts";
import type { Arguments } from "./arguments.ts";
import { availableBytes, readCheckpoint, readConfig, readDataset, writeFolder } from "./files.ts";
import { budgetNote } from "./plan.ts";
import { jsonReport, type Report, textReport } from "./report.ts";
import { openRunFolder } from "./run_folder.ts";

/** Trains a model and leaves a run folder: settings, metrics, loss curve, model. */
export async function train(args: Arguments): Promise<number> {
  const config = await readConfig(args);
  const text = await readDataset(config);
  const gpu = await openGpu();
  const run = prepareRun(config, text, gpu.variant);
  checkRunFits(run, gpu, availableBytes(gpu.adapter.software));
  const resumed = await readCheckpoint(run.config);

  const report = args.json ? jsonReport() : textReport(config.max_steps);
  announce(report, run, gpu.adapter.name);
  if (run.config.memory_budget !== null) report.note(`${run.config.optim}${budgetNote(run.config)}`);
  const folder = await openRunFolder(run);
  let ended = false;
  try {
    const trainer = await runTraining(gpu, run, stopOnInterrupt(report), async (event) => {
      await folder.add(event);
      report.event(event);
    }, resumed);
    await writeFolder(`${folder.path}/model`, modelFiles(run.model, config.max_length, run.tokenizer, await readWeights(run, trainer)));
    trainer.destroy();
    ended = true;
  } finally {
    await folder.close(ended);
    report.close();
  }
  report.end(folder.path);
  return 0;
}

function announce(report: Report, { config, tokens, tokenizer, model, plan }: Run, adapter: string): void {
  report.start({
    adapter,
    dataset: config.dataset || "embedded stories",
    parameters: countParameters(model.parameters),
    vocab_size: tokenizer.vocab_size,
    train_tokens: tokens.train.length,
    validation_tokens: tokens.validation.length,
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

/** Weights as Hugging Face has them: factors are multiplied. */
async function readWeights({ model }: Run, { executor }: Trainer): Promise<NamedTensor[]> {
  const tensors: NamedTensor[] = [], factors = new Set(model.factorised.flatMap(parametersOf));
  for (const parameter of model.parameters) {
    const { label: name, shape } = parameter.value;
    if (!factors.has(parameter)) tensors.push({ name, shape, data: await executor.read(parameter.value) });
  }
  for (const weight of model.factorised) tensors.push(mergedWeight(weight, await executor.read(weight.a.value), await executor.read(weight.b.value)));
  return tensors;
}
