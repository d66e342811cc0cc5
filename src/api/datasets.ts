import { blobSource } from "../checkpoint/source/blob.ts";
import { formatOf } from "../data/rows/read_rows.ts";
import type { ReadableBytes } from "../data/rows/row_source.ts";
import { splitFiles } from "../data/rows/split.ts";
import { normalizeText } from "../data/text.ts";
import { ConfigError } from "../recipe/config/config.ts";
import type { DatasetFiles } from "../recipe/data.ts";

/**
 * The data to train or judge a model with: a text, rows as objects, one file of text or rows, files named after the
 * split that they are (train.jsonl, validation.jsonl, test.jsonl), or such files by split.
 */
export type Dataset = string | Iterable<object> | Iterable<File> | DatasetFiles;

/** @throws ConfigError, RangeError or TypeError if there is nothing to read, or texts that are several. */
export async function openDataset(dataset: Dataset): Promise<string | DatasetFiles> {
  if (typeof dataset === "string") return normalizeText(new TextEncoder().encode(dataset));
  if ("train" in dataset) return dataset;
  const items = [...dataset];
  if (items.length === 0) throw new ConfigError("Cannot use the dataset: it is empty. Give a text, rows or files");
  if (!items.every((item) => item instanceof Blob)) return { train: [rowsFile(items)], validation: [] };
  return await openFiles(items as unknown as readonly File[]);
}

async function openFiles(files: readonly File[]): Promise<string | DatasetFiles> {
  const sourceOf = (file: File): ReadableBytes => blobSource(file.name, file), [only] = files;
  if (files.length === 1) {
    return formatOf(only!.name) === "text" ? await readText(only!) : { train: [sourceOf(only!)], validation: [] };
  }
  const byName = new Map(files.map((file) => [file.name, file]));
  return await datasetOf(
    "the chosen files",
    [...byName.keys()],
    (name) => sourceOf(byName.get(name)!),
    (name) => readText(byName.get(name)!),
  );
}

/** A text alone, for a new model. @throws ConfigError for rows. */
export async function openText(dataset: Dataset): Promise<string> {
  const opened = await openDataset(dataset);
  if (typeof opened === "string") return opened;
  throw new ConfigError(
    `Cannot train a new model on the rows of ${opened.train[0]!.name}: expected a text. Give one, or a pretrained ` +
      "model to fineTune()",
  );
}

/**
 * The dataset of files that are named after their split.
 * @param place names the whole in messages.
 * @param readText reads a file of text.
 * @throws RangeError if no file is for training; ConfigError for texts that are several.
 */
export async function datasetOf(
  place: string,
  names: readonly string[],
  openRows: (name: string) => ReadableBytes | Promise<ReadableBytes>,
  readText: (name: string) => Promise<string>,
): Promise<string | DatasetFiles> {
  const { train, validation, test } = splitFiles(names.toSorted());
  if (formatOf(train[0]!) === "text") {
    if (train.length + validation.length + test.length > 1) {
      throw new ConfigError(
        `Cannot use dataset ${place}: of texts one train.txt is read, whose end is held out, and there are ${
          [...train, ...validation, ...test].join(", ")
        }. Remove the others, or give rows`,
      );
    }
    return await readText(train[0]!);
  }
  const open = (names: readonly string[]): Promise<ReadableBytes[]> => Promise.all(names.map(openRows));
  return { train: await open(train), validation: await open(validation), test: await open(test) };
}

async function readText(file: File): Promise<string> {
  try {
    return normalizeText(new Uint8Array(await file.arrayBuffer()));
  } catch (error) {
    throw new ConfigError(`Cannot use dataset ${file.name}: ${(error as Error).message}`);
  }
}

/** Rows in memory as a file of JSON lines, which is read like any other. */
function rowsFile(rows: readonly object[]): ReadableBytes {
  const plain = (_: string, value: unknown): unknown =>
    ArrayBuffer.isView(value) ? [...value as Uint32Array] : typeof value === "bigint" ? Number(value) : value;
  const lines = rows.map((row) => `${JSON.stringify(row, plain)}\n`);
  return blobSource("rows.jsonl", new Blob(lines));
}
