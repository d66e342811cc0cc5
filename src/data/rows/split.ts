import { uniform } from "../../random/philox.ts";
import { formatOf } from "./read_rows.ts";

/** Names of the files of each split, the parts of a file in their order. */
export interface SplitFiles {
  /** Files of training rows. */
  readonly train: readonly string[];
  /** Files of rows that training never sees, for `eval_loss`. */
  readonly validation: readonly string[];
  /** Files of rows that are left alone. */
  readonly test: readonly string[];
}

const SPLITS: Readonly<Record<string, keyof SplitFiles>> = {
  train: "train",
  valid: "validation",
  validation: "validation",
  val: "validation",
  dev: "validation",
  test: "test",
};

/**
 * Names like train.jsonl, or of one of several parts: train-00001-of-00004.parquet (with or without a hash behind it),
 * train-3.jsonl, train_3.jsonl.
 */
const SPLIT_NAME = /^(train|validation|valid|val|dev|test)(?:[-_](\d+)(?:-of-(\d+))?(?:-[0-9a-f]+)?)?\.(\w+)$/i;

interface SplitPart {
  readonly name: string;
  readonly split: keyof SplitFiles;
  readonly index: number;
  readonly of: number | null;
  readonly format: string;
}

/**
 * The files of a folder by split, as the Hugging Face hub and MLX name them: train, valid or validation, test, each one
 * file or several parts. Other files are left alone.
 * @throws RangeError if there is no file for training, a part is missing, or one split has files of two formats.
 */
export function splitFiles(names: readonly string[]): SplitFiles {
  const parts = names.flatMap(parsePart);
  const of = (split: keyof SplitFiles): string[] => {
    const files = parts.filter((part) => part.split === split).sort((a, b) =>
      a.index - b.index || (a.name < b.name ? -1 : 1)
    );
    checkParts(files, split);
    return files.map(({ name }) => name);
  };
  const found = { train: of("train"), validation: of("validation"), test: of("test") };
  if (found.train.length === 0) {
    const shown = names.length > 0 ? names.slice(0, 8).join(", ") + (names.length > 8 ? ", …" : "") : "no file";
    throw new RangeError(
      `Cannot find the training data: expected train.jsonl, .json, .csv, .tsv, .parquet or .txt, got ${shown}. ` +
        "Rename the file",
    );
  }
  return found;
}

function parsePart(name: string): SplitPart[] {
  const match = SPLIT_NAME.exec(name.slice(name.lastIndexOf("/") + 1));
  if (!match || (formatOf(name) === "text" && match[4]!.toLowerCase() !== "txt")) return [];
  const [, split, index, of] = match;
  return [{
    name,
    split: SPLITS[split!.toLowerCase()]!,
    index: Number(index ?? 0),
    of: of === undefined ? null : Number(of),
    format: formatOf(name),
  }];
}

function checkParts(files: readonly SplitPart[], split: string): void {
  const [first] = files;
  const other = files.find(({ format, of }) => format !== first!.format || of !== first!.of);
  if (other) {
    throw new RangeError(
      `Cannot choose the ${split} data: ${first!.name} and ${other.name} do not belong together. Remove one of them`,
    );
  }
  if (first && first.of !== null && files.length !== first.of) {
    throw new RangeError(
      `Cannot read the ${split} data: expected ${first.of} parts like ${first.name}, got ${files.length}. Copy the ` +
        "other parts too",
    );
  }
}

/** Choice of one part of a dataset that has no validation file. */
export interface HoldOut {
  /** The part that is read. */
  readonly part: "train" | "validation";
  /** Share of the rows that is for validation, above 0, at most 1/2. */
  readonly validation_split: number;
  /** The start of all random numbers. */
  readonly seed: number;
}

/**
 * Rows of one part: of each 1 / validation_split rows (rounded) that follow one another, a random one is for validation
 * and the others for training. The choice depends on the seed and the place alone, so no row needs to be held or
 * counted first.
 * @throws RangeError if the share is not above 0 and at most 1/2.
 */
export async function* heldOut<R>(
  rows: AsyncIterable<R>,
  { part, validation_split, seed }: HoldOut,
): AsyncGenerator<R> {
  if (!(validation_split > 0 && validation_split <= 0.5)) {
    throw new RangeError(
      `Cannot split the rows: expected a validation_split above 0 and at most 0.5, got ${validation_split}. Choose ` +
        "one like 0.1",
    );
  }
  const every = Math.round(1 / validation_split);
  let index = 0;
  for await (const row of rows) {
    const chosen = Math.floor(uniform(seed, "validation split", 0, Math.floor(index / every)) * every);
    if ((index++ % every === chosen) === (part === "validation")) yield row;
  }
}
