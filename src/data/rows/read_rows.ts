import { readJsonRows } from "./json.ts";
import { readJsonLines } from "./jsonl.ts";
import { type ReadableBytes, refuseRows, type Row } from "./row_source.ts";

/** A format of files of rows, by the end of the file's name. */
export type RowFormat = "jsonl" | "json" | "csv" | "tsv" | "parquet";

const FORMATS: Readonly<Record<string, RowFormat>> = {
  jsonl: "jsonl",
  ndjson: "jsonl",
  json: "json",
  csv: "csv",
  tsv: "tsv",
  parquet: "parquet",
};

const READERS: Readonly<Record<RowFormat, (file: ReadableBytes) => AsyncGenerator<Row>>> = {
  jsonl: readJsonLines,
  json: readJsonRows,
  csv: (file) => readSeparated(file, ","),
  tsv: (file) => readSeparated(file, "\t"),
  parquet: readColumns,
};

/** Rows of a CSV file, whose reader is loaded with the first one. */
async function* readSeparated(file: ReadableBytes, delimiter: "," | "\t"): AsyncGenerator<Row> {
  const { readCsv } = await import("./csv.ts");
  yield* readCsv(file, delimiter);
}

/** Rows of a Parquet file, whose reader is loaded with the first one. */
async function* readColumns(file: ReadableBytes): AsyncGenerator<Row> {
  const { readParquet } = await import("./parquet.ts");
  yield* readParquet(file);
}

/** The format that a file's ending names. Files without rows are "text", which `normalizeText` reads. */
export function formatOf(name: string): RowFormat | "text" {
  const ending = /\.(\w+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
  return Object.hasOwn(FORMATS, ending) ? FORMATS[ending]! : "text";
}

/**
 * Rows of a file in their order. Memory does not grow with the file, except for JSON, which is read whole.
 * @throws RangeError that names the file and the row or line, if the file is empty, damaged or in another format.
 */
export async function* readRows(file: ReadableBytes, format: RowFormat): AsyncGenerator<Row> {
  if (file.size === 0) refuseRows(file, "expected some rows, got an empty file", "Choose another file");
  yield* READERS[format](file);
}

/** A row with its place, for messages. */
export interface NumberedRow {
  /** The fields of the row, by name. */
  readonly row: Row;
  /** The name of the file that the row stands in. */
  readonly file: string;
  /** Number of the row in its file, from 1, blank lines and a header not counted. */
  readonly number: number;
}

/**
 * Rows of several files, one after another, each in the format that its ending names.
 * @throws RangeError like `readRows`, and at a file whose ending names no format with rows.
 */
export async function* readFiles(files: readonly ReadableBytes[]): AsyncGenerator<NumberedRow> {
  for (const file of files) {
    const format = formatOf(file.name);
    if (format === "text") {
      refuseRows(
        file,
        `expected a name that ends in .${Object.keys(FORMATS).join(", .")}`,
        "Rename or convert the file",
      );
    }
    let number = 0;
    for await (const row of readRows(file, format)) yield { row, file: file.name, number: ++number };
  }
}
