/** Bytes that can be read in parts: a file on the disk, a Blob of a page, a file on the hub. */
export interface ReadableBytes {
  /** For messages; its ending tells the format. */
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
 * A row of more characters than this is taken for a broken file: a missing newline or closing quote must not fill the
 * memory.
 */
const LONGEST_ROW = 1 << 24;

/** The error of a file that is not what its name says. */
export function refuse(file: ReadableBytes, problem: string, advice: string): never {
  throw new RangeError(`Cannot read the rows of ${file.name}: ${problem}. ${advice}`);
}

/** What a parser said, on one line. */
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

/** @throws RangeError if the text kept for a row that has not ended yet is longer than any row should be. */
export function checkUnfinished(file: ReadableBytes, text: string, place: string): void {
  if (text.length <= LONGEST_ROW) return;
  refuse(
    file,
    `${place} has more than ${LONGEST_ROW} characters`,
    "Look there for a missing newline or a quote that is not closed",
  );
}
