import type { Batch } from "../data/batch.ts";
import { classificationBatch, sequenceBatch } from "../data/batch.ts";
import { createSha256 } from "../checkpoint/sha256.ts";
import { encodeChat } from "../tokenizer/chat.ts";
import { type ClassExample, classificationExample } from "../data/examples/classification.ts";
import type { Example } from "../data/examples/example.ts";
import { languageModelExample } from "../data/examples/language_model.ts";
import { fingerprint } from "../data/rows/fingerprint.ts";
import { type NumberedRow, readFiles } from "../data/rows/read_rows.ts";
import type { ReadableBytes } from "../data/rows/row_source.ts";
import { heldOut } from "../data/rows/split.ts";
import { exampleBatches, type ExampleSource, ExampleStream } from "../data/stream.ts";
import { sampleBatch, splitTokens, type TokenIds, validationBatches } from "../data/text.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { TrainingData } from "../train/job.ts";
import { ConfigError, type TrainingConfig } from "./config/config.ts";

/** The data of a run, with the facts that planning, reports and checkpoints need of them. */
export interface RunData extends TrainingData<Batch> {
  /** True if sequences hold several documents, or padding. */
  readonly packed: boolean;
  /** The amounts of data, for reports. */
  readonly summary: Readonly<Record<string, number | string>>;
  /** Identifies the data, so that a resumed run sees the same. */
  readonly fingerprint: string;
}

/** Windows of one long text. @throws RangeError if the text is too short for one sequence of each part. */
export function textData(config: TrainingConfig, ids: TokenIds): RunData {
  const {
    seed,
    gradient_accumulation_steps: count,
    per_device_train_batch_size: batch,
    max_length: length,
    eval_batches: limit,
  } = config;
  const tokens = splitTokens(ids, config.validation_split, length);
  return {
    packed: false,
    batches(step) {
      // The same rows however they are split into micro-batches.
      const { input_ids, labels } = sampleBatch(tokens.train, { seed, step, batch: count * batch, length });
      const part = (ids: Uint32Array<ArrayBuffer>, index: number) =>
        ids.subarray(index * batch * length, (index + 1) * batch * length);
      return [...Array(count).keys()].map((index) => ({
        input_ids: part(input_ids, index),
        labels: part(labels, index),
      }));
    },
    validation: () => validationBatches(tokens.validation, { batch, length, limit }),
    position: () => null,
    resume() {},
    close: () => Promise.resolve(),
    summary: { train_tokens: tokens.train.length, validation_tokens: tokens.validation.length },
    fingerprint: createSha256().update(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength)).hex(),
  };
}

/** Files of rows. Without validation files a share of the training rows is held out. */
export interface DatasetFiles {
  /** Training files. */
  readonly train: readonly ReadableBytes[];
  /** Files that training never sees, for `eval_loss`. */
  readonly validation: readonly ReadableBytes[];
  /** Never looked at in training. */
  readonly test?: readonly ReadableBytes[];
}

/** The settings and the tokenizer that make examples of rows. */
export interface RowOptions {
  /** The checked settings. */
  readonly config: TrainingConfig;
  /** The tokenizer of the model. */
  readonly tokenizer: Tokenizer;
  /** Names of the classes of a model that classifies. */
  readonly classes: readonly string[] | undefined;
}

/** Rows of files, read again and again as training goes on. */
export async function rowData(files: DatasetFiles, { config, tokenizer, classes }: RowOptions): Promise<RunData> {
  const rows = (part: "train" | "validation") => (): AsyncIterable<NumberedRow> => {
    if (files.validation.length > 0) return readFiles(files[part]);
    return heldOut(readFiles(files.train), { part, validation_split: config.validation_split, seed: config.seed });
  };
  const summary = {
    train_files: files.train.map(({ name }) => name).join(", "),
    ...(classes && { classes: classes.length }),
  };
  const facts = { summary, fingerprint: await fingerprint([...files.train, ...files.validation]) };
  // Causal attention never sees padding behind a text, so only packed documents need telling apart.
  if (classes) {
    return {
      ...facts,
      packed: true,
      ...await streamed((part) => classSource(rows(part), config, tokenizer, classes), config),
    };
  }
  return {
    ...facts,
    packed: config.packing,
    ...await streamed((part) => languageSource(rows(part), config, tokenizer), config),
  };
}

/** @throws ConfigError if a text is to be classified. */
export function checkRows(dataset: string | DatasetFiles, classes: readonly string[] | undefined): void {
  if (classes && typeof dataset === "string") {
    throw new ConfigError(
      'Cannot use a text as "dataset" of a model that classifies: expected rows of {text, label}. Give a ' +
        ".jsonl, .csv or .parquet file",
    );
  }
}

/** Batches of a whole text or of all rows, in order, to judge a model by. */
export function wholeData(
  dataset: string | DatasetFiles,
  { config, tokenizer, classes }: RowOptions,
  limit: number,
): { readonly packed: boolean; readonly batches: AsyncIterable<Batch> | Iterable<Batch> } {
  const { per_device_train_batch_size: batch, max_length: length } = config;
  checkRows(dataset, classes);
  if (typeof dataset === "string") {
    return { packed: false, batches: validationBatches(tokenizer.encode(dataset), { batch, length, limit }) };
  }
  const rows = (): AsyncIterable<NumberedRow> =>
    readFiles([dataset.test ?? [], dataset.validation, dataset.train].find(({ length }) => length > 0)!);
  if (classes) return { packed: true, batches: exampleBatches(classSource(rows, config, tokenizer, classes), limit) };
  return { packed: config.packing, batches: exampleBatches(languageSource(rows, config, tokenizer), limit) };
}

/**
 * Both parts are read to their first batch at once: a run must not end at its first evaluation because there is nothing
 * to evaluate on.
 */
async function streamed<E extends { readonly input_ids: Uint32Array }>(
  source: (part: "train" | "validation") => ExampleSource<E>,
  { seed, gradient_accumulation_steps, eval_batches }: TrainingConfig,
): Promise<TrainingData<Batch>> {
  for (const part of ["train", "validation"] as const) await firstBatch(source(part), part);
  const stream = new ExampleStream(source("train"), { seed, gradient_accumulation_steps });
  return {
    batches: (step) => stream.batches(step),
    validation: () => exampleBatches(source("validation"), eval_batches),
    position: () => stream.position,
    resume: (position) => stream.resume(position),
    close: () => stream.close(),
  };
}

async function firstBatch<E extends { readonly input_ids: Uint32Array }>(
  source: ExampleSource<E>,
  part: "train" | "validation",
): Promise<void> {
  try {
    for await (const _ of exampleBatches(source, 1)) return;
  } catch (error) {
    if (part === "train" || !(error instanceof RangeError)) throw error;
    throw new RangeError(
      `Validation: ${error.message}. Without a file of its own it gets a share of the rows, validation_split`,
    );
  }
}

function languageSource(
  rows: () => AsyncIterable<NumberedRow>,
  config: TrainingConfig,
  tokenizer: Tokenizer,
): ExampleSource<Example> {
  const { per_device_train_batch_size: batch, max_length: length, packing, completion_only_loss, assistant_only_loss } =
    config;
  const eos_token_id = tokenizer.special.eos ?? null;
  const options = {
    vocab_size: tokenizer.vocab_size,
    tokenizer: { encode: (text: string) => tokenizer.encode(text, { add_special_tokens: true }) },
    eos_token_id,
    max_length: length,
    completion_only_loss,
    assistant_only_loss,
    encodeChat: tokenizer.chat_template === undefined
      ? null
      : (messages: Parameters<typeof encodeChat>[1]) => encodeChat(tokenizer, messages),
  };
  const pad_token_id = tokenizer.special.pad ?? eos_token_id ?? 0;
  return {
    rows,
    packing,
    batch,
    length,
    toExample: (row) => languageModelExample(row, options),
    toBatch: (sequences) => sequenceBatch(sequences, { batch, length, pad_token_id }),
  };
}

function classSource(
  rows: () => AsyncIterable<NumberedRow>,
  config: TrainingConfig,
  tokenizer: Tokenizer,
  labels: readonly string[],
): ExampleSource<ClassExample> {
  const { per_device_train_batch_size: batch, max_length: length } = config;
  const encode = (
    text: string,
    pair: string | null,
  ) => (pair === null
    ? { input_ids: tokenizer.encode(text, { add_special_tokens: true }) }
    : tokenizer.encodePair(text, pair));
  const options = { encode, max_length: length, sep_token_id: tokenizer.special.sep ?? null, labels };
  const pad_token_id = tokenizer.special.pad ?? 0;
  return {
    rows,
    packing: false,
    batch,
    length,
    toExample: (row) => classificationExample(row, options),
    toBatch: (sequences) => classificationBatch(sequences, { batch, length, pad_token_id }),
  };
}
