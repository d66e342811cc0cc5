import { describeShape, type Dtype, DTYPE_BITS, tensorBytes } from "./dtype.ts";
import { MAX_HEADER_BYTES, type Metadata } from "./header.ts";
import { quote, type Refuse } from "./lossless_json.ts";

/** A tensor to write, with the number of bytes of its data. */
export interface TensorToWrite {
  /** Its name. */
  readonly name: string;
  /** The format of its numbers. */
  readonly dtype: Dtype;
  /** Its size in each dimension, outermost first. */
  readonly shape: readonly number[];
  /** Its size in bytes. */
  readonly bytes: number;
}

/** A tensor with its data, whose bits are written as they are. */
export interface TensorData {
  /** Its name. */
  readonly name: string;
  /** The format of its numbers. */
  readonly dtype: Dtype;
  /** Its size in each dimension, outermost first. */
  readonly shape: readonly number[];
  /** Its numbers, in the layout of the file. */
  readonly data: ArrayBufferView<ArrayBuffer>;
}

type Chunk = Uint8Array<ArrayBuffer>;

const refuse: Refuse = (problem) => {
  throw new RangeError(`Cannot write the safetensors file: ${problem}`);
};

/**
 * A safetensors file in chunks, the header first, byte for byte as huggingface/safetensors writes it: larger types
 * first, then by name. `data` gives the chunks of one tensor, and is called for the next after they are written.
 * @param metadata texts beside the tensors; transformers wants `format` to be "pt".
 * @throws RangeError at once if the tensors make no valid file; while it is written if `data` gives more or fewer bytes
 * than promised.
 */
export function writeSafetensors(
  tensors: readonly TensorToWrite[],
  metadata: Metadata,
  data: (name: string) => AsyncIterable<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const { sorted, header } = layOut(tensors, metadata);
  return chunks();

  async function* chunks(): AsyncGenerator<Chunk, void, void> {
    yield header;
    for (const { name, bytes } of sorted) {
      let written = 0;
      for await (const chunk of data(name)) {
        written += chunk.length;
        if (written > bytes) refuse(`tensor ${quote(name)} has more than the ${bytes} bytes that it was to have`);
        yield chunk;
      }
      if (written < bytes) refuse(`tensor ${quote(name)} has ${written} bytes, it was to have ${bytes}`);
    }
  }
}

/**
 * The bytes of a small safetensors file; use `writeSafetensors` for a large one.
 * @throws RangeError if the tensors make no valid file.
 */
export function encodeSafetensors(
  tensors: readonly TensorData[],
  metadata: Metadata = new Map(),
): Uint8Array<ArrayBuffer> {
  const { sorted, header } = layOut(tensors.map((tensor) => ({ ...tensor, bytes: tensor.data.byteLength })), metadata);
  const file = new Uint8Array(header.length + sorted.reduce((sum, { bytes }) => sum + bytes, 0));
  file.set(header);
  let at = header.length;
  for (const { data: { buffer, byteOffset }, bytes } of sorted) {
    file.set(new Uint8Array(buffer, byteOffset, bytes), at);
    at += bytes;
  }
  return file;
}

/**
 * The tensors in the order of their data, and the header with the eight bytes of its length, padded with spaces so that
 * the data is aligned.
 */
function layOut<Tensor extends TensorToWrite>(
  tensors: readonly Tensor[],
  metadata: Metadata,
): { readonly sorted: readonly Tensor[]; readonly header: Uint8Array<ArrayBuffer> } {
  checkTensors(tensors, metadata);
  const ranks = new Map(Object.keys(DTYPE_BITS).map((dtype, rank) => [dtype, rank]));
  const sorted = [...tensors].sort((a, b) => ranks.get(b.dtype)! - ranks.get(a.dtype)! || (a.name < b.name ? -1 : 1));
  let place = 0;
  // The fields are texts: names of an object would be sorted if they look like numbers, and "__proto__" would vanish.
  const fields = metadata.size === 0 ? [] : [`"__metadata__":${JSON.stringify(Object.fromEntries(metadata))}`];
  for (const { name, dtype, shape, bytes } of sorted) {
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [place, place += bytes] })}`);
  }
  const json = new TextEncoder().encode(`{${fields.join(",")}}`);
  const header = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20, 8);
  if (header.length - 8 > MAX_HEADER_BYTES) {
    refuse(`its header would have ${json.length} bytes, at most ${MAX_HEADER_BYTES} are allowed`);
  }
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(json, 8);
  return { sorted, header };
}

function checkTensors(tensors: readonly TensorToWrite[], metadata: Metadata): void {
  const names = new Set<string>();
  for (const { name, dtype, shape, bytes } of tensors) {
    if (name === "__metadata__" || names.has(name)) refuse(`the name ${quote(name)} is taken. Rename the tensor`);
    if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
      refuse(`tensor ${quote(name)} has a shape ${describeShape(shape)} that is not of whole numbers`);
    }
    const needed = tensorBytes(dtype, shape, (problem) => refuse(`tensor ${quote(name)}: ${problem}`));
    if (needed !== bytes) {
      refuse(`tensor ${quote(name)} of ${dtype} ${describeShape(shape)} needs ${needed} bytes, got ${bytes}`);
    }
    names.add(name);
  }
  for (const text of [...names, ...metadata].flat()) {
    if (!text.isWellFormed()) refuse(`${quote(text)} has half a surrogate pair`);
  }
}
