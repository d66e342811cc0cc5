import { checkUnfinished, type ReadableBytes, reasonOf, refuseRows, type Row, textPieces } from "./row_source.ts";

/**
 * Rows of a JSON Lines file: one object a line, blank lines skipped. Holds a piece of the file and one line.
 * @throws RangeError that names the line, if one is no JSON object.
 */
export async function* readJsonLines(file: ReadableBytes): AsyncGenerator<Row> {
  let unfinished = "", number = 0;
  for await (const piece of textPieces(file)) {
    const lines = piece.split("\n");
    lines[0] = unfinished + lines[0]!;
    unfinished = lines.pop()!;
    for (const line of lines) {
      number++;
      if (line.trim() !== "") yield parseLine(file, line, number);
    }
    checkUnfinished(file, unfinished, `line ${number + 1}`);
  }
  if (unfinished.trim() !== "") yield parseLine(file, unfinished, number + 1);
}

function parseLine(file: ReadableBytes, line: string, number: number): Row {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    refuseRows(file, `line ${number} is not valid JSON (${reasonOf(error)})`, "Write one JSON object on each line");
  }
  if (!isRow(value)) {
    refuseRows(file, `line ${number} holds ${kindOf(value)}, expected an object`, "Write one JSON object on each line");
  }
  return value;
}

export const isRow = (value: unknown): value is Row =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The kind of a value for messages: "a string", "an array", "null". */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
