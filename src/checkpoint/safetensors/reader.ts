import { isInside } from "../source/path.ts";
import type { ByteSource, Folder } from "../source/source.ts";
import { decodeText, type Header, headerLength, type Metadata, parseHeader, type TensorEntry } from "./header.ts";
import { isObject, type LosslessJson, quote, type Refuse, scanObject } from "./lossless_json.ts";

/** Tensors of one file or of several, none of which is ever held whole. */
export interface TensorFile {
  /** Name of the file, or of the index, for messages. */
  readonly name: string;
  /**
   * Tensors file by file, in the order of their data: reading them so reads each file from its beginning to its end.
   */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** The file's own strings, of the header's `__metadata__`. */
  readonly metadata: Metadata;
  /** The files that hold the tensors. */
  readonly sources: readonly ByteSource[];
  /**
   * The tensor's bytes from `first` up to, not including, `last`, counted in the tensor; all of them by default.
   * @throws RangeError if it has fewer.
   */
  read(entry: TensorEntry, first?: number, last?: number): Promise<Uint8Array<ArrayBuffer>>;
  /** The tensor's bytes in order, `bytes` at a time (4 MiB by default). An empty tensor has no piece. */
  pieces(entry: TensorEntry, bytes?: number): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>;
}

/**
 * Bytes of a piece, a multiple of every element's size. Larger pieces read no faster, and peak memory consists of
 * garbage of this size.
 */
export const PIECE_BYTES = 4 << 20;
const MAX_SHARDS = 10_000;
/** Largest index: half a million tensors. */
const MAX_INDEX_BYTES = 50_000_000;

const refuser = (name: string): Refuse => (problem) => {
  throw new RangeError(`Cannot read ${name}: ${problem}. Copy or download it again`);
};

/**
 * Opens a safetensors file by its header alone.
 * @throws RangeError if anything in the header is not as the format says, or does not account for every byte of the
 * file.
 */
export async function openSafetensors(source: ByteSource): Promise<TensorFile> {
  const header = await readHeader(source);
  return tensorFile(source.name, new Map([[source, header]]));
}

async function readHeader(source: ByteSource): Promise<Header> {
  const refuse = refuser(source.name), { size } = source;
  if (size < 8) refuse(`expected at least 8 bytes, got ${size}`);
  const length = headerLength(await source.read(0, 8), size, refuse);
  return parseHeader(await source.read(8, 8 + length), size, refuse);
}

function tensorFile(name: string, headers: ReadonlyMap<ByteSource, Header>): TensorFile {
  const tensors = new Map<string, TensorEntry>(), sources = new Map<TensorEntry, ByteSource>();
  for (const [source, header] of headers) {
    for (const entry of header.tensors.values()) tensors.set(entry.name, entry), sources.set(entry, source);
  }

  async function read(entry: TensorEntry, first = 0, last = entry.end - entry.start): Promise<Uint8Array<ArrayBuffer>> {
    const source = sources.get(entry), bytes = entry.end - entry.start;
    if (!source) throw new RangeError(`Cannot read tensor ${quote(entry.name)}: it is none of ${name}`);
    if (!(0 <= first && first <= last && last <= bytes)) {
      throw new RangeError(`Cannot read bytes ${first} to ${last} of tensor ${quote(entry.name)}: it has ${bytes}`);
    }
    return await source.read(entry.start + first, entry.start + last);
  }
  async function* pieces(entry: TensorEntry, bytes = PIECE_BYTES): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    if (!(Number.isSafeInteger(bytes) && bytes > 0)) {
      throw new RangeError(
        `Cannot read tensor ${quote(entry.name)} in pieces of ${bytes} bytes: expected a whole number above 0`,
      );
    }
    const end = entry.end - entry.start;
    for (let first = 0; first < end; first += bytes) yield await read(entry, first, Math.min(first + bytes, end));
  }
  const metadata = new Map([...headers.values()].flatMap((header) => [...header.metadata]));
  return { name, tensors, metadata, sources: [...headers.keys()], read, pieces };
}

/**
 * Opens the weights of a Hugging Face folder: the file `name`, or the shards that `name`.index.json lists.
 * @param name "model.safetensors" for a model, "adapter_model.safetensors" for an adapter of PEFT.
 * @throws RangeError if there is neither, if a file is wrong, or if the index and the shards do not name the same
 * tensors in the same places.
 */
export async function openCheckpoint(folder: Folder, name = "model.safetensors"): Promise<TensorFile> {
  const file = await folder.open(name);
  if (file) return await openSafetensors(file);
  const index = await folder.open(`${name}.index.json`);
  if (index) return await openShards(folder, index);
  for (const pickled of ["pytorch_model.bin", "pytorch_model.bin.index.json", name.replace(/\.safetensors$/, ".bin")]) {
    if (await folder.open(pickled)) {
      throw new RangeError(
        `Cannot read the weights of ${folder.name}: ${pickled} holds Python objects, which may run code. Convert it ` +
          `to ${name}, with save_pretrained of transformers for example`,
      );
    }
  }
  throw new RangeError(
    `Cannot read the weights of ${folder.name}: it has neither ${name} nor ${name}.index.json. Give the folder of a ` +
      "Hugging Face model",
  );
}

/**
 * Opens all shards of an index and compares the two: each tensor is in the shard that the index says, and in no other.
 */
async function openShards(folder: Folder, index: ByteSource): Promise<TensorFile> {
  const refuse = refuser(index.name), weightMap = await readIndex(index, refuse);
  const shards = new Set(weightMap.places.values());
  if (shards.size > MAX_SHARDS) refuse(`it names ${shards.size} shards, at most ${MAX_SHARDS} are allowed`);
  for (const shard of shards) if (!isInside(shard)) refuse(`its shard ${quote(shard)} is not below the folder`);
  const headers = new Map<ByteSource, Header>(), found = new Set<string>();
  let bytes = 0;
  for (const shard of shards) {
    const source = await folder.open(shard);
    if (!source) return refuse(`its shard ${quote(shard)} is missing`);
    const header = await readHeader(source);
    for (const { name, start, end } of header.tensors.values()) {
      const expected = weightMap.places.get(name);
      if (expected !== shard) {
        refuse(
          `shard ${quote(shard)} holds tensor ${quote(name)}, which the index ${
            expected === undefined ? "does not name" : `puts into ${quote(expected)}`
          }`,
        );
      }
      found.add(name);
      bytes += end - start;
    }
    headers.set(source, header);
  }
  for (const [name, shard] of weightMap.places) {
    if (!found.has(name)) {
      refuse(`shard ${quote(shard)} does not hold tensor ${quote(name)}, which the index puts there`);
    }
  }
  if (weightMap.totalSize !== undefined && weightMap.totalSize !== bytes) {
    refuse(`its total_size is ${weightMap.totalSize}, the tensors have ${bytes} bytes`);
  }
  return tensorFile(index.name, headers);
}

interface WeightMap {
  /** The shard of each tensor. */
  readonly places: ReadonlyMap<string, string>;
  /** Bytes of all tensors, if the index has them. */
  readonly totalSize: number | undefined;
}

async function readIndex(source: ByteSource, refuse: Refuse): Promise<WeightMap> {
  if (source.size > MAX_INDEX_BYTES) refuse(`it has ${source.size} bytes, at most ${MAX_INDEX_BYTES} are allowed`);
  const text = decodeText(await source.read(0, source.size), refuse).trim();
  const { fields, end } = scanObject(text, 8, refuse, (_, value) => value);
  if (end !== text.length) refuse("its object is followed by something else");
  const weights = fields.get("weight_map"), metadata = fields.get("metadata");
  if (!isObject(weights) || weights.size === 0) return refuse("it has no weight_map from tensors to shards");
  for (const [name, shard] of weights) {
    if (typeof shard !== "string") refuse(`its weight_map gives tensor ${quote(name)} no shard`);
  }
  return {
    places: weights as ReadonlyMap<string, string>,
    totalSize: isObject(metadata) ? parseTotalSize(metadata.get("total_size"), refuse) : undefined,
  };
}

/** Reads the total size by its value: some writers add ".0". */
function parseTotalSize(size: LosslessJson | undefined, refuse: Refuse): number | undefined {
  if (size === undefined || typeof size === "number") return size;
  return typeof size === "object" && size !== null && "digits" in size
    ? Number(size.digits)
    : refuse("its total_size is not a number");
}
