/** Reader and writer of the safetensors format (huggingface/safetensors: 8 bytes of length, JSON header, tensors). f32 only. */

export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/** The format's own cap on the header. */
const MAX_HEADER_BYTES = 100_000_000;

/** Bytes of a file with these tensors, sorted by name, the data aligned to eight bytes. */
export function encodeSafetensors(tensors: readonly NamedTensor[], metadata: Readonly<Record<string, string>> = {}): Uint8Array<ArrayBuffer> {
  const sorted = [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
  const header: Record<string, unknown> = { __metadata__: { format: "pt", ...metadata } };
  let length = 0;
  for (const { name, shape, data } of sorted) {
    header[name] = { dtype: "F32", shape, data_offsets: [length, (length += data.byteLength)] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const headerBytes = new Uint8Array(Math.ceil(json.length / 8) * 8).fill(0x20); // spaces
  headerBytes.set(json);
  const file = new Uint8Array(8 + headerBytes.length + length);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes.length), true);
  file.set(headerBytes, 8);
  let at = 8 + headerBytes.length;
  for (const { data } of sorted) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/**
 * Tensors of a file's bytes.
 * @throws RangeError if the header lies about the data, or holds another type than F32.
 */
export function decodeSafetensors(file: Uint8Array<ArrayBuffer>): NamedTensor[] {
  const { json, data } = split(file);
  const header = parseHeader(json);
  // By both ends: an empty tensor has the place of the one that follows it.
  header.sort(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1]);
  let end = 0;
  const tensors = header.map(([name, { dtype, shape, data_offsets: [from, to] }]) => {
    if (dtype !== "F32") refuse(`tensor "${name}" is ${dtype}, expected F32`);
    const bytes = 4 * shape.reduce((a, b) => a * b, 1);
    if (from !== end || to - from !== bytes || to > data.length) refuse(`tensor "${name}" of shape (${shape}) claims bytes ${from} to ${to} of ${data.length}`);
    end = to;
    return { name, shape, data: new Float32Array(data.slice(from, to).buffer) };
  });
  if (end !== data.length) refuse(`${data.length - end} bytes belong to no tensor`);
  return tensors;
}

/** The texts that a file carries beside its tensors. */
export function safetensorsMetadata(file: Uint8Array<ArrayBuffer>): Readonly<Record<string, unknown>> {
  const { __metadata__: metadata } = parseJson(split(file).json) as { readonly __metadata__?: unknown };
  return typeof metadata === "object" && metadata !== null ? metadata as Readonly<Record<string, unknown>> : {};
}

const refuse = (problem: string): never => {
  throw new RangeError(`Cannot read the safetensors file: ${problem}. Copy the file again`);
};

/** Header and data of a file. */
function split(file: Uint8Array<ArrayBuffer>): { readonly json: Uint8Array; readonly data: Uint8Array<ArrayBuffer> } {
  if (file.length < 8) refuse(`expected at least 8 bytes, got ${file.length}`);
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES || length > file.length - 8) refuse(`its header claims ${length} bytes, the file has ${file.length}`);
  return { json: file.subarray(8, 8 + length), data: file.subarray(8 + length) };
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

function parseJson(bytes: Uint8Array): object {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return refuse("its header is not JSON");
  }
  return typeof header !== "object" || header === null || Array.isArray(header) ? refuse("its header is not an object") : header;
}

function parseHeader(bytes: Uint8Array): [string, Entry][] {
  const isCount = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0;
  return Object.entries(parseJson(bytes)).filter(([name]) => name !== "__metadata__").map(([name, value]) => {
    const { dtype, shape, data_offsets } = (value ?? {}) as Partial<Entry>;
    const isValid = typeof dtype === "string" && Array.isArray(shape) && shape.every(isCount) && Array.isArray(data_offsets) && data_offsets.length === 2 && data_offsets.every(isCount);
    return isValid ? [name, { dtype, shape, data_offsets }] : refuse(`the entry of tensor "${name}" is malformed`);
  });
}
