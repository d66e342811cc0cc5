import { describeShape, type Dtype, isDtype, tensorBytes } from "./dtype.ts";
import { isCounts, isObject, type LosslessJson, quote, type Refuse, scanObject } from "./lossless_json.ts";

/** The format's own cap on the header. */
export const MAX_HEADER_BYTES = 100_000_000;

/** One tensor in the header of a safetensors file. */
export interface TensorEntry {
  /** Its name. */
  readonly name: string;
  /** The format of its numbers. */
  readonly dtype: Dtype;
  /** Its size in each dimension, outermost first. */
  readonly shape: readonly number[];
  /** First byte in the file, which need not be a multiple of the element's size, and the one after the last. */
  readonly start: number;
  /** The byte behind its last one, counted as the start. */
  readonly end: number;
}

/** Texts that a file carries beside its tensors. */
export type Metadata = ReadonlyMap<string, string>;

export interface Header {
  /** Tensors in the order of their data. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Metadata;
}

/**
 * The length that the first eight bytes of a file of `size` bytes give, after a check that a header so long fits.
 */
export function headerLength(first: Uint8Array, size: number, refuse: Refuse): number {
  const length = Number(new DataView(first.buffer, first.byteOffset).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES) refuse(`its header claims ${length} bytes, at most ${MAX_HEADER_BYTES} are allowed`);
  return length > size - 8 ? refuse(`its header claims ${length} bytes, the file has ${size}`) : length;
}

/**
 * Reads the header of a safetensors file of `size` bytes (huggingface/safetensors, README.md "Format"), and distrusts
 * it: unlike the reference reader it forgives nothing that the format forbids (a name twice, a space before the header,
 * unknown fields).
 */
export function parseHeader(bytes: Uint8Array, size: number, refuse: Refuse): Header {
  if (bytes[0] !== 0x7b) refuse('its header does not begin with "{"');
  let metadata: Metadata = new Map();
  const entries: Placed[] = [], text = decodeText(bytes, refuse);
  // The three levels are names, entries and shapes.
  const { end } = scanObject(text, 3, refuse, (name, value) => {
    if (name === "__metadata__") metadata = parseMetadata(value, refuse);
    else entries.push(parseEntry(name, value, refuse));
  });
  if (!/^ *$/.test(text.slice(end))) refuse("its header is followed by something other than spaces");
  const dataStart = 8 + bytes.length, tensors = new Map<string, TensorEntry>();
  sortByPlace(entries, size - dataStart, refuse);
  // The start of the data is added after the checks, because a place near 2^53 would lose bits by it.
  for (const entry of entries) entry.start += dataStart, entry.end += dataStart, tensors.set(entry.name, entry);
  return { tensors, metadata };
}

/** An entry, its places counted from the beginning of the data until all of them are checked. */
type Placed = Omit<TensorEntry, "start" | "end"> & { start: number; end: number };

/** UTF-8 as text. A byte order mark stays and is then an error, like anything before "{". */
export function decodeText(bytes: Uint8Array, refuse: Refuse): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse("its JSON is not UTF-8");
  }
}

function parseMetadata(value: LosslessJson, refuse: Refuse): Metadata {
  if (!isObject(value)) return refuse("its __metadata__ is not an object of texts");
  for (const [key, text] of value) {
    if (typeof text !== "string") refuse(`${quote(key)} in its __metadata__ is not a text`);
  }
  return value as Metadata;
}

const FIELDS = ["dtype", "shape", "data_offsets"];

function parseEntry(name: string, entry: LosslessJson, refuse: Refuse): Placed {
  const fail: Refuse = (problem) => refuse(`tensor ${quote(name)} ${problem}`);
  if (!isObject(entry)) return fail("is not described by an object");
  const absent = FIELDS.find((field) => !entry.has(field)),
    unknown = [...entry.keys()].find((field) => !FIELDS.includes(field));
  if (absent !== undefined) fail(`has no ${quote(absent)}`);
  if (unknown !== undefined) fail(`has the unknown field ${quote(unknown)}`);
  const dtype = entry.get("dtype");
  if (typeof dtype !== "string") return fail("has a dtype that is not a text");
  if (!isDtype(dtype)) return fail(`has the unknown dtype ${quote(dtype)}`);
  const shape = entry.get("shape"), offsets = entry.get("data_offsets");
  if (!isCounts(shape)) return fail("has a shape that is not a list of whole numbers up to 2^53 - 1");
  if (!isCounts(offsets) || offsets.length !== 2) {
    return fail("has data_offsets that are not two whole numbers up to 2^53 - 1");
  }
  const bytes = tensorBytes(dtype, shape, (problem) => fail(`is impossible: ${problem}`)),
    [start, end] = offsets as [number, number];
  if (end - start !== bytes) {
    fail(`of ${dtype} ${describeShape(shape)} needs ${bytes} bytes, its data_offsets are ${start} and ${end}`);
  }
  return { name, dtype, shape, start, end };
}

/**
 * Sorts the tensors by place. Each byte of the data must belong to exactly one: bytes that nobody reads could be
 * another file.
 */
function sortByPlace(entries: Placed[], dataBytes: number, refuse: Refuse): void {
  // Sort by both ends: an empty tensor has the place of the one that follows it.
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  let place = 0;
  for (const { name, start, end } of entries) {
    if (start !== place) {
      refuse(
        `tensor ${
          quote(name)
        } begins at byte ${start} of the data, expected ${place}: neither hole nor overlap is allowed`,
      );
    }
    place = end;
  }
  if (place !== dataBytes) refuse(`its tensors end at byte ${place} of the data, expected ${dataBytes}`);
}
