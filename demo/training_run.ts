import { ConfigError, type DatasetFiles, type Gpu, openGpu, type TrainEvent } from "../src/index.ts";
import { blobSource, type Pretrained } from "../src/exports/checkpoint.ts";
import { formatOf, generateStories, normalizeText } from "../src/exports/data.ts";
import { countParameters } from "../src/exports/models.ts";
import { bytesByRole, ledger } from "../src/exports/plan.ts";
import {
  availableBytes,
  checkRunFits,
  type FineTuning,
  type LoadWeights,
  prepareFineTuning,
  prepareRun,
  type Run,
  train,
  type TrainingContext,
} from "../src/exports/train.ts";
import { Checkpoints } from "./checkpoints.ts";
import { watched, weightBytes } from "./pretrained_models.ts";
import type { PlanReport, RunEvent, RunRequest } from "./protocol.ts";
import { type RunControl, StoppedError } from "./run_control.ts";
import { Trained } from "./trained.ts";

type Emit = (event: RunEvent) => void;

/**
 * Trains until the run has ended one way or another. @throws StoppedError if it was stopped while its model was read.
 */
export async function trainRun(
  request: RunRequest,
  model: Pretrained | undefined,
  control: RunControl,
  emit: Emit,
): Promise<Trained> {
  const checkpoints = await Checkpoints.open(request, (message) => emit({ type: "note", message }));
  let gpu: Gpu | undefined;
  try {
    // Each run has a device of its own: whatever befell the last one, this one starts clean.
    gpu = await openGpu();
    const reading = model && new Reading(weightBytes(model), control, emit);
    const fineTuning = model && await prepareTuning(request, model, (bytes) => reading!.add(bytes));
    const run = prepareRun(
      fineTuning?.config ?? request.config,
      fineTuning ? fineTuning.prepared : await readText(request),
      gpu.target,
    );
    checkRunFits(run, gpu, availableBytes(gpu), fineTuning?.prepared.base);
    emit({
      type: "prepared",
      plan: planReportOf(run, request.config.model),
      summary: run.data.summary,
      vocab_size: run.tokenizer.vocab_size,
    });

    reading?.begin("Reading");
    const base = checkpoints && fineTuning
      ? { name: fineTuning.pretrained.folder.name, files: await fineTuning.pretrained.identity() }
      : null;
    const context: TrainingContext = { base, data: run.data.fingerprint };
    const resumed = await checkpoints?.newest(run, context);
    if (resumed) emit({ type: "resumed", step: resumed.state.step });
    for (const message of resumed?.notes ?? []) emit({ type: "note", message });

    const load = fineTuning &&
      ((...to: Parameters<LoadWeights>) => (reading!.begin("Loading"), fineTuning.load(...to)));
    const hear = async (event: TrainEvent): Promise<void> => {
      if (event.type !== "checkpoint") emit(event);
      else if (checkpoints) emit(await checkpoints.save(event, run, context));
    };
    const reopen = async (): Promise<Gpu> => gpu = await openGpu();
    const trainer = await train(gpu, run, control, hear, { resumed, load, recovery: { reopen } });
    return new Trained(gpu, run, trainer, fineTuning);
  } catch (error) {
    gpu?.device.destroy();
    throw error;
  } finally {
    await checkpoints?.close();
  }
}

/** Reports the progress of reading a model, and ends it when the run is stopped. */
class Reading {
  readonly #total: number;
  readonly #control: RunControl;
  readonly #emit: Emit;
  #what: "Reading" | "Loading" | undefined;
  #done = 0;

  constructor(total: number, control: RunControl, emit: Emit) {
    [this.#total, this.#control, this.#emit] = [total, control, emit];
  }

  begin(what: "Reading" | "Loading"): void {
    [this.#what, this.#done] = [what, 0];
  }

  /** Counts bytes that were read. @throws StoppedError */
  add(bytes: number): void {
    if (this.#control.stopped()) throw new StoppedError();
    this.#done = Math.min(this.#total, this.#done + bytes);
    if (this.#what) this.#emit({ type: "loading", what: this.#what, done: this.#done, total: this.#total });
  }
}

async function prepareTuning(
  request: RunRequest,
  { folder }: Pretrained,
  onRead: (bytes: number) => void,
): Promise<FineTuning> {
  const { config, file } = request;
  const dataset: string | DatasetFiles = file === null || formatOf(file.name) === "text"
    ? await readText(request)
    : { train: [blobSource(file.name, file)], validation: [] };
  return await prepareFineTuning(config, { model: watched(folder, onRead), dataset });
}

/** The built-in stories, or the text of the file. @throws RangeError, TypeError or ConfigError if it is no text. */
async function readText({ config, file }: RunRequest): Promise<string> {
  if (file === null) return generateStories(config.seed);
  if (formatOf(file.name) !== "text") {
    throw new ConfigError(
      `Cannot train a new model on the rows of ${file.name}: expected a text file. Choose one under Data, or a ` +
        "pretrained model under Model",
    );
  }
  return normalizeText(new Uint8Array(await file.arrayBuffer()));
}

/** The memory of a run, for the page. */
export function planReportOf({ model, plan }: Pick<Run, "model" | "plan">, name: string): PlanReport {
  return {
    model: name || "LLaMA",
    parameters: countParameters(model.parameters),
    trainable_parameters: countParameters(model.parameters.filter(({ needsGradient }) => needsGradient)),
    rows: ledger(plan),
    bytes: bytesByRole(plan.buffers),
  };
}
