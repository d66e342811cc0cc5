import type { ReadableBytes, Row } from "../../../src/data/rows/row_source.ts";
import { assert } from "../../harness.ts";

/** A file in memory that remembers what was read of it. */
export interface MemoryFile extends ReadableBytes {
  readonly reads: { readonly start: number; readonly end: number }[];
}

export function memoryFile(name: string, content: string | Uint8Array): MemoryFile {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return generatedFile(name, bytes.length, (start, end) => bytes.slice(start, end));
}

/** A file whose bytes are made when they are read, so that it may be larger than the memory. */
export function generatedFile(
  name: string,
  size: number,
  make: (start: number, end: number) => Uint8Array<ArrayBuffer>,
): MemoryFile {
  const reads: { start: number; end: number }[] = [];
  return {
    name,
    size,
    reads,
    read: async (start, end) => {
      assert(start >= 0 && start <= end && end <= size, `bytes ${start} to ${end} of ${size} were asked for`);
      reads.push({ start, end });
      return make(start, end);
    },
  };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** A row as the first of "t.jsonl". */
export const numbered = (row: Row, number = 1) => ({ row, file: "t.jsonl", number });
