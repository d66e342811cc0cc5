import type { AsyncBuffer, DecodedArray, FileMetaData, SchemaTree } from "hyparquet";
import { type ReadableBytes, reasonOf, refuseRows, type Row } from "./row_source.ts";

const READABLE_CODECS: readonly string[] = ["UNCOMPRESSED", "SNAPPY"];

/**
 * Rows of a Parquet file (by hyparquet): flat columns, lists and structs. Holds one row group. Integers of 64 bits
 * become numbers if a double holds them exactly, else stay BigInt; missing values are null.
 * @throws RangeError if the file is cut short or damaged, or compressed with something else than Snappy.
 */
export async function* readParquet(file: ReadableBytes): AsyncGenerator<Row> {
  const { parquetMetadataAsync, parquetScan, parquetSchema } = await import("hyparquet");
  const buffer = bufferOf(file);
  const metadata = await attempt(file, () => parquetMetadataAsync(buffer));
  const schema = await attempt(file, () => parquetSchema(metadata));
  checkColumns(file, metadata, leavesOf(schema));
  checkCodecs(file, metadata);
  const scan = await attempt(file, () => parquetScan({ file: buffer, metadata, useOffsetIndex: false }));
  for (const { rowStart, rowEnd } of scan.ranges) {
    // Read column by column, so that the values are counted before a row is made from the promises of the file.
    const columns: [string, DecodedArray][] = [];
    for (const { element: { name } } of schema.children) {
      const values = await attempt(file, () => scan.readColumn({ column: name, rowStart, rowEnd }));
      if (values.length !== rowEnd - rowStart) {
        refuseRows(
          file,
          `column ${name} has ${values.length} values for rows ${rowStart + 1} to ${rowEnd}`,
          "Copy the file again",
        );
      }
      columns.push([name, values]);
    }
    for (let at = 0; at < rowEnd - rowStart; at++) {
      yield Object.fromEntries(columns.map(([name, values]) => [name, toNumbers(values[at])]));
    }
  }
}

function bufferOf(file: ReadableBytes): AsyncBuffer {
  const read = async (start: number, end: number): Promise<ArrayBuffer> => {
    if (!(start >= 0 && start <= end && end <= file.size)) {
      throw new RangeError(`it refers to bytes ${start} to ${end}, it has ${file.size}`);
    }
    const bytes = await file.read(start, end);
    return bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer;
  };
  return {
    byteLength: file.size,
    slice: (start, end = file.size) => {
      const bytes = read(start, end);
      bytes.catch(() => {}); // hyparquet reads ahead, and may stop for another reason before it looks at the result
      return bytes;
    },
  };
}

/** Paths of the columns that hold values. */
const leavesOf = (schema: SchemaTree): string[] =>
  schema.children.flatMap((child) => (child.children.length > 0 ? leavesOf(child) : [child.path.join(".")]));

/** Refuses a column that the schema does not know: it would fail in the background, where nobody can catch it. */
function checkColumns(file: ReadableBytes, { row_groups }: FileMetaData, leaves: readonly string[]): void {
  for (const { columns } of row_groups) {
    const paths = columns.map(({ meta_data }) => meta_data?.path_in_schema?.join("."));
    if (paths.length === new Set(leaves).size && leaves.every((path, index) => path === paths[index])) continue;
    refuseRows(
      file,
      `a row group has the columns ${paths.join(", ")}, its schema ${leaves.join(", ")}`,
      "Copy the file again",
    );
  }
}

async function attempt<T>(file: ReadableBytes, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    return refuseRows(file, `it is no whole Parquet file (${reasonOf(error)})`, "Copy the file again");
  }
}

function checkCodecs(file: ReadableBytes, { row_groups }: FileMetaData): void {
  for (const { columns } of row_groups) {
    for (const { meta_data } of columns) {
      if (!meta_data || READABLE_CODECS.includes(meta_data.codec)) continue;
      const column = meta_data.path_in_schema.join(".");
      refuseRows(
        file,
        `column ${column} is compressed with ${meta_data.codec}, expected SNAPPY or none`,
        "Write it again with Snappy, or as JSONL",
      );
    }
  }
}

/** The value with numbers for its BigInts, also in lists and structs. */
function toNumbers(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (value === undefined) return null;
  if (Array.isArray(value)) return value.map(toNumbers);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toNumbers(item)]));
}
