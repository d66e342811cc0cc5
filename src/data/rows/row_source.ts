/** Bytes that can be read in parts: a file on the disk, a Blob of a page, a file on the hub. */
export interface ReadableBytes {
  /** Name for messages; its ending names the format. */
  readonly name: string;
  /** Bytes in all. */
  readonly size: number;
  /** Bytes from `start` up to, not including, `end`. */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** One row of a dataset, by column. */
export type Row = Readonly<Record<string, unknown>>;

/** Bytes of a file that are held at a time. */
const PIECE_BYTES = 1 << 20;

/**
 * Most characters of a row. A longer one is taken for a broken file: a missing newline or closing quote must not fill
 * the memory.
 */
const LONGEST_ROW = 1 << 24;

/** Throws the error of a file that is not what its name says. */
export function refuseRows(file: ReadableBytes, problem: string, advice: string): never {
  throw new RangeError(`Cannot read the rows of ${file.name}: ${problem}. ${advice}`);
}

/** The message of a parser's error, on one line. */
export const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/\s+/g, " ").trim();

/** The text of a UTF-8 file piece by piece: no byte order mark, "\n" for "\r\n", U+FFFD for malformed bytes. */
export async function* textPieces(file: ReadableBytes): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let held = "";
  for (let start = 0; start < file.size; start += PIECE_BYTES) {
    const text = held +
      decoder.decode(await file.read(start, Math.min(start + PIECE_BYTES, file.size)), { stream: true });
    held = text.endsWith("\r") ? "\r" : ""; // its "\n" may come with the next piece
    yield text.slice(0, text.length - held.length).replaceAll("\r\n", "\n");
  }
  yield held + decoder.decode();
}

/** Checks the text kept for a row that has not ended yet. @throws RangeError if it is longer than any row should be. */
export function checkUnfinished(file: ReadableBytes, text: string, place: string): void {
  if (text.length <= LONGEST_ROW) return;
  refuseRows(
    file,
    `${place} has more than ${LONGEST_ROW} characters`,
    "Look there for a missing newline or a quote that is not closed",
  );
}
