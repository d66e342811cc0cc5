import type { FolderFiles } from "../../src/checkpoint/model/save.ts";
import type { Folder } from "../../src/checkpoint/source/source.ts";

/** Reads a file below a fixture's folder; null where there is none. Deno reads the disk, the browser fetches. */
export type ReadFile = (path: string) => Promise<Uint8Array<ArrayBuffer> | null>;

/** A fixture's folder as the importer sees folders. */
export const folderOf = (read: ReadFile, path: string): Folder => ({
  name: path,
  async open(name) {
    const bytes = await read(`${path}/${name}`);
    return bytes &&
      { name: `${path}/${name}`, size: bytes.length, read: (start, end) => Promise.resolve(bytes.slice(start, end)) };
  },
});

/** Files that a model was written as. */
export async function collectFiles(files: FolderFiles): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const collected = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const [name, contents] of files) {
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    for await (const piece of contents instanceof Uint8Array ? [contents] : contents) pieces.push(piece);
    collected.set(name, new Uint8Array(await new Blob(pieces).arrayBuffer()));
  }
  return collected;
}

export const memoryFolder = (name: string, files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>): Folder =>
  folderOf((path) => Promise.resolve(files.get(path.slice(name.length + 1)) ?? null), name);

/** One comparison with somebody else's numbers. */
export interface OracleCase {
  readonly name: string;
  readonly ok: boolean;
  /** In the measure of `tolerance`. */
  readonly max_relative_error: number;
  readonly tolerance: number;
}

export const oracleCase = (name: string, error: number, tolerance: number): OracleCase => ({
  name,
  ok: error <= tolerance,
  max_relative_error: error,
  tolerance,
});

export interface FixtureTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

export async function readJson(read: ReadFile, path: string): Promise<unknown> {
  const bytes = await read(path);
  if (!bytes) throw new Error(`Cannot read the fixture: ${path} is missing`);
  return JSON.parse(new TextDecoder().decode(bytes));
}

interface Header {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

/** Tensors of a trusted safetensors file, as f32. Not the importer: that one distrusts. */
export async function readTensors(read: ReadFile, path: string): Promise<Map<string, FixtureTensor>> {
  const bytes = await read(path);
  if (!bytes) throw new Error(`Cannot read the fixture: ${path} is missing`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<string, Header>;
  const start = bytes.byteOffset + 8 + length;
  const tensors = new Map<string, FixtureTensor>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [from, to] = data_offsets;
    tensors.set(name, { shape, data: decode(dtype, bytes.buffer.slice(start + from, start + to)) });
  }
  return tensors;
}

/** The weights of a Hugging Face folder, from one file or from its shards. */
export async function readWeights(read: ReadFile, directory: string): Promise<Map<string, FixtureTensor>> {
  const index = await read(`${directory}/model.safetensors.index.json`);
  if (!index) return readTensors(read, `${directory}/model.safetensors`);
  const { weight_map } = JSON.parse(new TextDecoder().decode(index)) as { weight_map: Record<string, string> };
  const shards = await Promise.all(
    [...new Set(Object.values(weight_map))].map((shard) => readTensors(read, `${directory}/${shard}`)),
  );
  return new Map(shards.flatMap((shard) => [...shard]));
}

function decode(dtype: string, raw: ArrayBuffer): Float32Array<ArrayBuffer> {
  if (dtype === "F32") return new Float32Array(raw);
  if (dtype === "BF16") return new Float32Array(Uint32Array.from(new Uint16Array(raw), (half) => half << 16).buffer);
  if (dtype === "F16") return Float32Array.from(new Uint16Array(raw), fromHalf);
  throw new Error(`Cannot read a tensor of type ${dtype}: expected F32, F16 or BF16`);
}

function fromHalf(half: number): number {
  const sign = half >> 15 ? -1 : 1, exponent = (half >> 10) & 31, mantissa = half & 1023;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}
