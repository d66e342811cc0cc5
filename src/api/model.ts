import type { FileContents, FolderFiles, WritableFolder } from "../checkpoint/model/save.ts";
import type { TrainingConfig } from "../recipe/config/training_config.ts";
import type { ResultKind } from "../recipe/results.ts";
import type { Summary } from "../train/events.ts";
import type { Evaluation } from "../train/session.ts";
import type { Dataset } from "./datasets.ts";

export type { FileContents, FolderFiles };

/** Options of an evaluation. */
export interface EvaluateOptions {
  /** Batches to judge by, at most; by default all there are. */
  readonly eval_batches?: number | undefined;
}

/** The result of an evaluation: the mean loss, and the perplexity of a language model or the scores of a classifier. */
export interface EvaluationResult extends Evaluation {
  /** e to the mean loss; of language models only. */
  readonly perplexity?: number;
}

/** Options of the generation of a text, with Hugging Face's names. */
export interface GenerateOptions {
  /** Tokens to write, at most. */
  readonly max_new_tokens?: number | undefined;
  /** 0 takes the likeliest token every time. */
  readonly temperature?: number | undefined;
  /** Only so many of the likeliest tokens are drawn from; 0: all. */
  readonly top_k?: number | undefined;
  /** The same seed gives the same text. */
  readonly seed?: number | undefined;
}

/** A model on a device that can be judged and used. */
export interface UsableModel {
  /** Mean loss on a text or on rows; of rows by split, on test, else validation, else train. */
  evaluate(dataset: Dataset, options?: EvaluateOptions): Promise<EvaluationResult>;
  /** Continues a prompt; the result includes it. @throws RangeError for a model that classifies. */
  generate(prompt: string, options?: GenerateOptions): Promise<string>;
  /** Frees what the model holds on the device. */
  close(): void;
}

/** The result of a training run: the model as it was trained, still on the device. */
export interface TrainedModel extends UsableModel {
  /** The settings of the run, with all defaults. */
  readonly config: TrainingConfig;
  /** The numbers of the run. */
  readonly summary: Summary;
  /**
   * Files of the result by name, whose tensors are read from the device as they are written: an adapter for PEFT where
   * one was trained, else a model for transformers; of an adapter's run "model" is the merged one.
   */
  files(kind?: ResultKind): Promise<FolderFiles>;
  /** Writes these files to a folder. */
  save(folder: WritableFolder, kind?: ResultKind): Promise<void>;
}
