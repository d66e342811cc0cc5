import { piecesOf, type WritableFolder } from "../checkpoint/model/save.ts";
import { classesOf } from "../models/model.ts";
import { ConfigError } from "../recipe/config/config.ts";
import type { TrainingConfig } from "../recipe/config/training_config.ts";
import { wholeData } from "../recipe/data.ts";
import type { FineTuning } from "../recipe/fine_tuning.ts";
import { resultFiles, type ResultKind, resultKinds } from "../recipe/results.ts";
import type { Run } from "../recipe/run.ts";
import type { Summary } from "../train/events.ts";
import { sampleText } from "../train/sample.ts";
import type { Trainer } from "../train/trainer.ts";
import { type Dataset, openDataset } from "./datasets.ts";
import type { Device } from "./device.ts";
import type {
  EvaluateOptions,
  EvaluationResult,
  FileContents,
  FolderFiles,
  GenerateOptions,
  TrainedModel,
} from "./model.ts";

/** A run that has ended, with its results. */
export interface Ended {
  readonly device: Device;
  readonly run: Run;
  readonly trainer: Trainer;
  readonly fineTuning: FineTuning | undefined;
  readonly summary: Summary;
}

/** A run that has ended: its model is used with the programs that it was trained with. */
export class EndedRun implements TrainedModel {
  readonly config: TrainingConfig;
  readonly summary: Summary;
  readonly #ended: Ended;

  constructor(ended: Ended) {
    this.#ended = ended;
    this.summary = ended.summary;
    this.config = ended.run.config;
  }

  async evaluate(dataset: Dataset, { eval_batches = Infinity }: EvaluateOptions = {}): Promise<EvaluationResult> {
    const { device, run: { config, tokenizer, data, model, programs }, trainer } = this.#ended;
    const classes = classesOf(model);
    // The programs are recorded for sequences as they were in training.
    const options = { config: { ...config, packing: data.packed }, tokenizer, classes };
    const { batches } = wholeData(await openDataset(dataset), options, eval_batches);
    const result = await device.inTurn(() => trainer.evaluate(programs.evaluate, batches));
    return withPerplexity(result, classes);
  }

  async generate(prompt: string, options: GenerateOptions = {}): Promise<string> {
    const { device, run: { config, tokenizer, programs: { generate } }, trainer } = this.#ended;
    if (!generate) {
      throw new RangeError("Cannot generate with a model that classifies: expected one that predicts tokens");
    }
    const { sample_tokens: max_new_tokens, temperature, top_k, seed, max_length } = config;
    const whole = { max_new_tokens, temperature, top_k, seed, ...given(options), prompt, max_length };
    return await device.inTurn(() => sampleText(trainer, generate, tokenizer, whole));
  }

  files(kind?: ResultKind): Promise<FolderFiles> {
    return Promise.try(() => this.#filesOf(kind));
  }

  #filesOf(kind: ResultKind | undefined): FolderFiles {
    const { device, run, trainer, fineTuning } = this.#ended, kinds = resultKinds(run), wanted = kind ?? kinds[0]!;
    if (!kinds.includes(wanted)) {
      throw new ConfigError(`Cannot make the ${wanted} of this run: it has trained no adapter. Take its model`);
    }
    const files = resultFiles(wanted, run, trainer.executor, fineTuning);
    return new Map([...files].map(([name, contents]) => [name, inTurns(device, contents)]));
  }

  async save(folder: WritableFolder, kind?: ResultKind): Promise<void> {
    await folder.write(await this.files(kind));
  }

  close(): void {
    this.#ended.trainer.destroy();
    this.#ended.device.close();
  }
}

/** The options that are given; an undefined one is not. */
export const given = (options: GenerateOptions): { readonly [Key in keyof GenerateOptions]?: number } =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));

/** An evaluation with the perplexity of a language model. */
export const withPerplexity = (
  result: EvaluationResult,
  classes: readonly string[] | undefined,
): EvaluationResult => (classes ? result : { ...result, perplexity: Math.exp(result.eval_loss) });

/** FileContents whose pieces are read from the device in turn with its other work. */
async function* inTurnPieces(
  device: Device,
  contents: FileContents,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const pieces = piecesOf(contents);
  for (;;) {
    const { done, value } = await device.inTurn(() => pieces.next());
    if (done) return;
    yield value;
  }
}

const inTurns = (device: Device, contents: FileContents): FileContents =>
  contents instanceof Uint8Array ? contents : inTurnPieces(device, contents);
