import { expose, proxy } from "comlink";
import { piecesOf } from "../checkpoint/model/save.ts";
import type { TrainingConfig } from "../recipe/config/training_config.ts";
import type { ResultKind } from "../recipe/results.ts";
import type { Summary, TrainEvent } from "../train/events.ts";
import { loadModel, type LoadModelOptions } from "./loaded_model.ts";
import type { EvaluateOptions, EvaluationResult, GenerateOptions, TrainedModel, UsableModel } from "./model.ts";
import type { RunOptions } from "./settings.ts";
import { fineTune, type FineTuneOptions, trainModel, type TrainModelOptions } from "./train.ts";
import { Received, type SentDataset, type SentSource } from "./wire.ts";

/** Options as they are sent: what has functions is replaced, or cannot be sent. */
type Sent<Options> =
  & Omit<Options, keyof RunOptions | "architectures" | "model" | "dataset" | "tokenizer" | "adapter">
  & { readonly onEvent?: MessagePort | undefined };

interface SentFolders {
  readonly tokenizer?: SentSource | undefined;
  readonly adapter?: SentSource | undefined;
}

/** The options of fineTune() as they are sent. */
export interface SentFineTune extends Sent<FineTuneOptions>, SentFolders {
  readonly model: SentSource;
  readonly dataset: SentDataset;
}

/** The options of trainModel() as they are sent. */
export interface SentTrainModel extends Sent<TrainModelOptions> {
  readonly dataset?: SentDataset | undefined;
  readonly tokenizer?: TrainModelOptions["tokenizer"];
}

/** The options of loadModel() as they are sent. */
export interface SentLoadModel extends Omit<Sent<LoadModelOptions>, "onEvent">, SentFolders {}

/** The calls that a Worker serves. Each has a name by which it can be aborted. */
export class Served {
  readonly #calls = new Map<string, AbortController>();

  fineTune(call: string, { model, dataset, tokenizer, adapter, onEvent, ...settings }: SentFineTune) {
    return this.#run(call, onEvent, (received, options) =>
      fineTune({
        ...settings,
        ...options,
        model: received.source(model),
        dataset: received.dataset(dataset),
        ...foldersOf(received, { tokenizer, adapter }),
      }));
  }

  trainModel(call: string, { dataset, onEvent, ...settings }: SentTrainModel) {
    return this.#run(
      call,
      onEvent,
      (received, options) =>
        trainModel({ ...settings, ...options, dataset: dataset === undefined ? undefined : received.dataset(dataset) }),
    );
  }

  async loadModel(source: SentSource, { tokenizer, adapter, ...settings }: SentLoadModel) {
    const received = new Received(), folders = foldersOf(received, { tokenizer, adapter });
    // Its files are read for as long as it is used.
    return proxy(new ServedModel(await loadModel(received.source(source), { ...settings, ...folders }), received));
  }

  abort(call: string): void {
    this.#calls.get(call)?.abort();
  }

  async #run(
    call: string,
    onEvent: MessagePort | undefined,
    run: (received: Received, options: Pick<RunOptions, "signal" | "onEvent">) => Promise<TrainedModel>,
  ) {
    const received = new Received(), controller = new AbortController();
    this.#calls.set(call, controller);
    try {
      const listener = onEvent && received.function<TrainEvent>(onEvent);
      return proxy(new ServedRun(await run(received, { signal: controller.signal, onEvent: listener })));
    } finally {
      this.#calls.delete(call);
      received.release();
    }
  }
}

const foldersOf = (
  received: Received,
  { tokenizer, adapter }: SentFolders,
): Pick<FineTuneOptions, "tokenizer" | "adapter"> => ({
  tokenizer: tokenizer && received.source(tokenizer),
  adapter: adapter && received.source(adapter),
});

/** A model in a Worker. */
export class ServedModel<M extends UsableModel = UsableModel> {
  protected readonly model: M;
  readonly #lent: Received | undefined;

  constructor(model: M, lent?: Received) {
    this.model = model;
    this.#lent = lent;
  }

  async evaluate(dataset: SentDataset, options?: EvaluateOptions): Promise<EvaluationResult> {
    const received = new Received();
    try {
      return await this.model.evaluate(received.dataset(dataset), options);
    } finally {
      received.release();
    }
  }

  generate(prompt: string, options?: GenerateOptions): Promise<string> {
    return this.model.generate(prompt, options);
  }

  close(): void {
    this.model.close();
    this.#lent?.release();
  }
}

type Pieces = AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>;

/** A model in a Worker that was trained there. */
export class ServedRun extends ServedModel<TrainedModel> {
  readonly #pieces = new Map<string, Pieces>();

  facts(): { readonly config: TrainingConfig; readonly summary: Summary } {
    return { config: this.model.config, summary: this.model.summary };
  }

  /** Begins to make the files of a result. Their pieces are asked for by `reading` and name. */
  async files(reading: string, kind?: ResultKind): Promise<string[]> {
    const files = await this.model.files(kind);
    for (const [name, contents] of files) this.#pieces.set(`${reading} ${name}`, piecesOf(contents));
    return [...files.keys()];
  }

  /** The next piece of a file, undefined after the last. */
  async next(reading: string, name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const key = `${reading} ${name}`, { value } = await this.#pieces.get(key)!.next();
    if (!value) this.#pieces.delete(key);
    return value ?? undefined;
  }
}

/** Serves the calls in this Worker. */
export const serve = (): void => expose(new Served());
