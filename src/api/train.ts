import type { Folder } from "../checkpoint/source/source.ts";
import type { Architecture } from "../models/architecture.ts";
import type { TrainingConfig } from "../recipe/config/training_config.ts";
import { type FineTuning, prepareFineTuning } from "../recipe/fine_tuning.ts";
import { checkRunFits, type Prepared, prepareRun } from "../recipe/run.ts";
import { controlBy, type Summary, type TrainEvent } from "../train/events.ts";
import { train } from "../train/loop.ts";
import { type Dataset, openDataset, openText } from "./datasets.ts";
import { availableBytes, Device } from "./device.ts";
import type { TrainedModel } from "./model.ts";
import { configOf, type RunOptions, type TrainingSettings } from "./settings.ts";
import { type ModelSource, openSource } from "./sources.ts";
import { EndedRun } from "./ended_run.ts";

/** The model, the data and the settings of a training run. Every setting of a run may be among the options. */
export interface FineTuneOptions extends TrainingSettings, RunOptions {
  /** The pretrained model. */
  readonly model: ModelSource;
  /** The data; a share of them is held out for validation unless there are files for that. */
  readonly dataset: Dataset;
  /** The folder of the tokenizer, if it is not beside the model. */
  readonly tokenizer?: ModelSource | undefined;
  /** An adapter to go on with. */
  readonly adapter?: ModelSource | undefined;
  /** Families of models to choose from by model_type; by default those that are built in. */
  readonly architectures?: readonly Architecture[] | undefined;
}

/**
 * Trains a pretrained model on a text or on rows.
 *
 * ```ts ignore
 * const run = await fineTune({ model: "owner/name", dataset: rows, peft: { r: 8 }, max_steps: 100 });
 * console.log(run.summary.eval_loss, await run.generate("Once"));
 * await run.save(folder);
 * ```
 * @throws ConfigError or RangeError for what does not fit together, NoAdapterError, OutOfMemoryError,
 * NonFiniteLossError, DeviceLostError at the third loss in ten minutes.
 */
export async function fineTune(options: FineTuneOptions): Promise<TrainedModel> {
  const { model, dataset, tokenizer, adapter, architectures, gpu, signal, onEvent, ...settings } = options;
  // Wrong settings are refused before anything is read.
  const config = configOf(settings, { model: "model", ...(adapter && { adapter: "adapter" }) });
  const begun = { yet: false };
  const open = async (source: ModelSource): Promise<Folder> =>
    untilAborted(await openSource(source, config.revision), signal, begun);
  const folder = await open(model);
  const sources = {
    model: folder,
    architectures,
    ...(tokenizer && { tokenizer: await open(tokenizer) }),
    ...(adapter && { adapter: await open(adapter) }),
    dataset: await openDataset(dataset),
  };
  const fineTuning = await prepareFineTuning(
    { ...config, model: folder.name, adapter: sources.adapter?.name ?? "" },
    sources,
  );
  return await start(fineTuning.config, fineTuning.prepared, fineTuning, { gpu, signal, onEvent }, begun);
}

/** A new model to train. Every setting of a run may be among the options. */
export interface TrainModelOptions extends TrainingSettings, RunOptions {
  /** A text; by default the embedded stories. */
  readonly dataset?: Dataset | undefined;
  /** Tokens are learned from the text, or are its bytes. */
  readonly tokenizer?: "bpe" | "byte" | undefined;
}

/** Trains a new model, a small LLaMA, from scratch. @throws as fineTune() does. */
export async function trainModel(options: TrainModelOptions = {}): Promise<TrainedModel> {
  const { dataset, tokenizer, gpu, signal, onEvent, ...settings } = options;
  const config = configOf(settings, { ...(tokenizer && { tokenizer }) });
  const text = dataset === undefined ? await stories(config.seed) : await openText(dataset);
  return await start(config, text, undefined, { gpu, signal, onEvent }, { yet: false });
}

/** The embedded stories. Loaded when they are wanted: their words are as large as a third of all shaders. */
const stories = async (seed: number): Promise<string> => (await import("../data/corpus.ts")).generateStories(seed);

/** True once a run has made its first step. */
interface Begun {
  yet: boolean;
}

async function start(
  config: TrainingConfig,
  prepared: string | Prepared,
  fineTuning: FineTuning | undefined,
  { gpu, signal, onEvent }: RunOptions,
  begun: Begun,
): Promise<TrainedModel> {
  const device = await Device.open(gpu);
  try {
    const run = prepareRun(config, prepared, device.gpu.target);
    checkRunFits(run, device.gpu, availableBytes(device.gpu), fineTuning?.prepared.base);
    let summary: Summary | undefined;
    const listen = async (event: TrainEvent): Promise<void> => {
      if (event.type === "step") begun.yet = true;
      if (event.type === "end") summary = event.summary;
      await onEvent?.(event);
    };
    signal?.throwIfAborted();
    const trainer = await train(device.gpu, run, controlBy(signal), listen, {
      load: fineTuning?.load,
      recovery: { reopen: () => device.reopen() },
    });
    if (!begun.yet) {
      trainer.destroy();
      signal?.throwIfAborted();
    }
    return new EndedRun({ device, run, trainer, fineTuning, summary: summary! });
  } catch (error) {
    device.close();
    throw error;
  }
}

/** The same folder, whose files can no longer be read once the signal is aborted, unless the run has begun. */
function untilAborted(folder: Folder, signal: AbortSignal | undefined, begun: Begun): Folder {
  if (!signal) return folder;
  return {
    name: folder.name,
    async open(path) {
      const source = await folder.open(path);
      return source && {
        ...source,
        async read(start, end) {
          if (!begun.yet) signal.throwIfAborted();
          return await source.read(start, end);
        },
      };
    },
  };
}
