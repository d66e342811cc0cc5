import { isRow, kindOf } from "./jsonl.ts";
import { type ReadableBytes, reasonOf, refuseRows, type Row } from "./row_source.ts";

/** Largest file: JSON.parse needs the whole text, and its objects take several times as much. */
const LARGEST_BYTES = 256 * 2 ** 20;

/**
 * Rows of a JSON file that is one array of objects. Holds all of it.
 * @throws RangeError if it is larger than 256 MiB, no JSON, or anything else than such an array.
 */
export async function* readJsonRows(file: ReadableBytes): AsyncGenerator<Row> {
  if (file.size > LARGEST_BYTES) {
    refuseRows(
      file,
      `expected at most ${LARGEST_BYTES} bytes of JSON, which is read as a whole, got ${file.size}`,
      "Convert it to JSONL, which is read line by line",
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(await file.read(0, file.size)));
  } catch (error) {
    const advice = "Write one array of objects, or one object on each line in a file named .jsonl";
    refuseRows(file, `it is not valid JSON (${reasonOf(error)})`, advice);
  }
  if (!Array.isArray(value)) {
    refuseRows(file, `it holds ${kindOf(value)}, expected an array of objects`, "Put the rows in one array");
  }
  for (const [index, row] of value.entries()) {
    if (!isRow(row)) {
      refuseRows(file, `row ${index + 1} is ${kindOf(row)}, expected an object`, "Correct or remove that row");
    }
    yield row;
  }
}
