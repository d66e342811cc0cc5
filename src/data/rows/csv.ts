/// <reference path="./papaparse.d.ts" />
import { checkUnfinished, type ReadableBytes, refuseRows, type Row, textPieces } from "./row_source.ts";

const QUOTING = 'Put fields with quotes, delimiters or newlines in double quotes, and write "" for a quote in them';

/**
 * Rows of a CSV or TSV file (RFC 4180, by papaparse): the first line names the columns, fields in quotes may hold
 * newlines, blank lines are skipped, every value is a string. Holds a piece of the file and one row.
 * @throws RangeError that names the row, if its quotes are wrong or it has another number of fields than the header.
 */
export async function* readCsv(file: ReadableBytes, delimiter: "," | "\t"): AsyncGenerator<Row> {
  const { default: Papa } = await import("papaparse");
  const parser = new Papa.Parser({ delimiter, newline: "\n" });
  let header: readonly string[] | null = null, unfinished = "", count = 0;

  const rowsOf = function* (text: string, isEnd: boolean): Generator<Row> {
    const { data, errors, meta } = parser.parse(text, 0, !isEnd);
    for (const [index, fields] of data.entries()) {
      const wrong = errors.find(({ row }) => row === index);
      if (wrong) {
        refuseRows(file, `${header ? `row ${count + 1}` : "the header"} has wrong quotes (${wrong.message})`, QUOTING);
      }
      if (fields.length === 1 && fields[0] === "") continue;
      if (!header) checkHeader(file, header = fields);
      else yield toRow(file, header, fields, ++count);
    }
    // An error is in the unfinished row now, which cannot end well any more.
    if (errors.length > 0) refuseRows(file, `row ${count + 1} has wrong quotes (${errors[0]!.message})`, QUOTING);
    unfinished = text.slice(meta.cursor);
  };

  for await (const piece of textPieces(file)) {
    // Parse up to a newline only: the next character decides whether a quote is a closing one.
    const text = unfinished + piece, end = piece.includes("\n") ? text.lastIndexOf("\n") + 1 : 0;
    unfinished = text;
    if (end > 0) {
      yield* rowsOf(text.slice(0, end), false);
      unfinished += text.slice(end);
    }
    checkUnfinished(file, unfinished, `row ${count + 1}`);
  }
  yield* rowsOf(unfinished, true);
}

function checkHeader(file: ReadableBytes, header: readonly string[]): void {
  const wrong = header.find((name, index) => name.trim() === "" || header.indexOf(name) !== index);
  if (wrong === undefined) return;
  const problem = wrong.trim() === "" ? "a column without a name" : `two columns named "${wrong}"`;
  refuseRows(file, `its first line has ${problem}`, "The first line names the columns, each once");
}

function toRow(file: ReadableBytes, header: readonly string[], fields: readonly string[], number: number): Row {
  if (fields.length !== header.length) {
    refuseRows(
      file,
      `row ${number} has ${fields.length} fields, expected ${header.length} (${header.join(", ")})`,
      QUOTING,
    );
  }
  return Object.fromEntries(header.map((name, index) => [name, fields[index]!]));
}
