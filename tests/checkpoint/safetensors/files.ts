import { openSafetensors, type TensorFile } from "../../../src/checkpoint/safetensors/reader.ts";
import type { ByteSource } from "../../../src/checkpoint/source/source.ts";
import { assert } from "../../harness.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

/** A file with any header and any number of bytes of data: 1, 2, 3 … */
export function fileOf(header: unknown, dataBytes: number, length?: number | bigint): Bytes {
  const json = header instanceof Uint8Array
    ? header
    : new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + json.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(length ?? json.length), true);
  file.set(json, 8);
  for (let i = 0; i < dataBytes; i++) file[8 + json.length + i] = i + 1;
  return file;
}

export const entry = (dtype: string, shape: unknown, from: unknown, to: unknown) => ({
  dtype,
  shape,
  data_offsets: [from, to],
});
export const f32 = (from: number, to: number, shape: unknown = [(to - from) / 4]) => entry("F32", shape, from, to);

/** Bytes in memory that count what is asked of them. */
export class CountingSource implements ByteSource {
  readonly name = "file.safetensors";
  readonly size: number;
  requested = 0;
  readonly #bytes: Bytes;

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  read(start: number, end: number): Promise<Bytes> {
    assert(
      Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end && end <= this.size,
      `bytes ${start} to ${end} were asked of ${this.size}`,
    );
    this.requested += end - start;
    return Promise.resolve(this.#bytes.slice(start, end));
  }
}

/**
 * Opens a file, or gives the message of why not. Anything but a RangeError of one line is a failure, as is asking for
 * more bytes than there are.
 */
export async function openOrMessage(bytes: Bytes): Promise<TensorFile | string> {
  const source = new CountingSource(bytes);
  try {
    return await openSafetensors(source);
  } catch (error) {
    const isGood = error instanceof RangeError &&
      /^Cannot read file\.safetensors: .*\. Copy or download it again$/.test(error.message) &&
      error.message.length < 600;
    if (!isGood) throw error;
    return error.message;
  } finally {
    assert(source.requested <= source.size, `${source.requested} bytes were asked of a file of ${source.size}`);
  }
}

export interface Described {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

/** The contents of a file, as plain values. */
export const describeFile = (
  { tensors, metadata }: TensorFile,
): { tensors: Described[]; metadata: [string, string][] } => ({
  tensors: [...tensors.values()],
  metadata: [...metadata],
});
