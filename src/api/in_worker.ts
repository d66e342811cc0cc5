import { type Remote, transfer, wrap } from "comlink";
import type { WritableFolder } from "../checkpoint/model/save.ts";
import type { TrainingConfig } from "../recipe/config/training_config.ts";
import type { ResultKind } from "../recipe/results.ts";
import type { Summary } from "../train/events.ts";
import type { Dataset } from "./datasets.ts";
import type { LoadModelOptions } from "./loaded_model.ts";
import type {
  EvaluateOptions,
  EvaluationResult,
  FolderFiles,
  GenerateOptions,
  TrainedModel,
  UsableModel,
} from "./model.ts";
import type { Served, ServedModel, ServedRun } from "./serve.ts";
import type { RunOptions } from "./settings.ts";
import type { ModelSource } from "./sources.ts";
import type { FineTuneOptions, TrainModelOptions } from "./train.ts";
import { Sending } from "./wire.ts";

/** Options of a call that runs in a Worker: devices and families of models cannot be sent there. */
export type InWorkerOptions<Options> = Omit<Options, "gpu" | "architectures">;

/** The calls of this package, run in a Worker. What they return lives there and is used from here. */
export interface InWorker {
  /** fineTune() in the Worker. */
  fineTune(options: InWorkerOptions<FineTuneOptions>): Promise<TrainedModel>;
  /** trainModel() in the Worker. */
  trainModel(options?: InWorkerOptions<TrainModelOptions>): Promise<TrainedModel>;
  /** loadModel() in the Worker. */
  loadModel(source: ModelSource, options?: InWorkerOptions<LoadModelOptions>): Promise<UsableModel>;
}

/**
 * The same calls, made in a Worker whose script imports "scrimp/worker", so that a page stays alive while it trains.
 * Folders and files of any kind may be given, and saved to; events and an AbortSignal work as they do here. Errors keep
 * their name and message, not their class. The Worker is the caller's to terminate.
 */
export function inWorker(worker: Worker): InWorker {
  const remote = wrap<Served>(worker), failed = failureOf(worker);
  const during = <T>(work: Promise<T>): Promise<T> => Promise.race([work, failed]);
  const run = async (
    { signal, onEvent }: Pick<RunOptions, "signal" | "onEvent">,
    start: (call: string, sending: Sending, onEvent: MessagePort | undefined) => Promise<unknown>,
  ): Promise<TrainedModel> => {
    signal?.throwIfAborted();
    const call = crypto.randomUUID(), sending = new Sending(), abort = () => void remote.abort(call);
    signal?.addEventListener("abort", abort);
    try {
      const started = start(call, sending, onEvent && sending.function(onEvent)) as Promise<Remote<ServedRun>>;
      const model = await during(started);
      return new RemoteRun(model, await during(model.facts()), during);
    } catch (error) {
      if ((error as Error).name === "AbortError") signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  };
  return {
    fineTune: ({ model, dataset, tokenizer, adapter, signal, onEvent, ...settings }) =>
      run({ signal, onEvent }, (call, sending, onEvent) => {
        const sent = {
          ...settings,
          model: sending.source(model),
          dataset: sending.dataset(dataset),
          ...foldersOf(sending, { tokenizer, adapter }),
          onEvent,
        };
        return remote.fineTune(call, transfer(sent, sending.ports));
      }),
    trainModel: ({ dataset, signal, onEvent, ...settings } = {}) =>
      run({ signal, onEvent }, (call, sending, onEvent) => {
        const sent = { ...settings, dataset: dataset === undefined ? undefined : sending.dataset(dataset), onEvent };
        return remote.trainModel(call, transfer(sent, sending.ports));
      }),
    async loadModel(source, { tokenizer, adapter, ...settings } = {}) {
      const sending = new Sending(), place = sending.source(source);
      const sent = { ...settings, ...foldersOf(sending, { tokenizer, adapter }) };
      const loaded = remote.loadModel(place, transfer(sent, sending.ports)) as unknown as Promise<Remote<ServedModel>>;
      return new RemoteModel(await during(loaded), during);
    },
  };
}

const foldersOf = (
  sending: Sending,
  { tokenizer, adapter }: Pick<FineTuneOptions, "tokenizer" | "adapter">,
) => ({ tokenizer: tokenizer && sending.source(tokenizer), adapter: adapter && sending.source(adapter) });

/** Rejects if the Worker breaks outside any call: then nothing would ever answer. */
function failureOf(worker: Worker): Promise<never> {
  const failed = new Promise<never>((_, reject) =>
    worker.addEventListener("error", ({ message }) =>
      reject(
        new Error(
          `The Worker failed: ${message || "its script did not load"}. Its script must import "scrimp/worker"`,
        ),
      ))
  );
  failed.catch(() => {});
  return failed;
}

type During = <T>(work: Promise<T>) => Promise<T>;

/** A model in a Worker, as it looks from here. */
class RemoteModel<S extends ServedModel = ServedModel> implements UsableModel {
  protected readonly served: Remote<S>;
  protected readonly during: During;

  constructor(served: Remote<S>, during: During) {
    this.served = served;
    this.during = during;
  }

  evaluate(dataset: Dataset, options?: EvaluateOptions): Promise<EvaluationResult> {
    const sending = new Sending(), sent = sending.dataset(dataset), served = this.served as Remote<ServedModel>;
    return this.during(
      served.evaluate(
        sending.ports.length > 0 ? transfer(sent as object, sending.ports) as typeof sent : sent,
        options,
      ),
    );
  }

  generate(prompt: string, options?: GenerateOptions): Promise<string> {
    return this.during((this.served as Remote<ServedModel>).generate(prompt, options));
  }

  close(): void {
    void (this.served as Remote<ServedModel>).close();
  }
}

/** A run in a Worker, as it looks from here. */
class RemoteRun extends RemoteModel<ServedRun> implements TrainedModel {
  readonly config: TrainingConfig;
  readonly summary: Summary;

  constructor(
    served: Remote<ServedRun>,
    { config, summary }: Pick<TrainedModel, "config" | "summary">,
    during: During,
  ) {
    super(served, during);
    this.config = config;
    this.summary = summary;
  }

  async files(kind?: ResultKind): Promise<FolderFiles> {
    const reading = crypto.randomUUID(), names = await this.during(this.served.files(reading, kind));
    return new Map(names.map((name) => [name, this.#pieces(reading, name)]));
  }

  async save(folder: WritableFolder, kind?: ResultKind): Promise<void> {
    await folder.write(await this.files(kind));
  }

  async *#pieces(reading: string, name: string): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    for (;;) {
      const piece = await this.during(this.served.next(reading, name));
      if (!piece) return;
      yield piece;
    }
  }
}
