import type { Model } from "../../models/architecture.ts";
import type { Parameter } from "../../models/parameter.ts";
import type { Executor } from "../../plan/executor.ts";
import type { Data } from "../../plan/pieces.ts";
import { GROUP, size, type Tensor } from "../../plan/tensor.ts";
import type { TensorEntry } from "../safetensors/header.ts";
import { toFloat32 } from "../safetensors/numbers.ts";
import type { TensorFile } from "../safetensors/reader.ts";
import { matchNames } from "./tensor_names.ts";

/** Types with the same bits in file and device. */
const SAME_BITS: Readonly<Record<string, Tensor["type"]>> = { F32: "f32", BF16: "bf16", F16: "f16" };

/**
 * Bytes after which the device is made to take the writes: until then the queue of a device keeps a copy of them all.
 */
const BATCH_BYTES = 16 << 20;

/** `Executor.write` in batches: it resolves when the device has taken all but the last. */
type Write = (tensor: Tensor, data: Data, first: number) => Promise<void>;

/**
 * Uploads every parameter that a file has, piece by piece: a tensor is never held whole, and bits that stay the same
 * are copied without a look. Two tensors are under way at a time, so that one is read while the other is packed.
 * Resolves to the parameters written.
 * @throws RangeError if the file ends early, or a quantized weight has no scales.
 */
export async function loadWeights(
  executor: Executor,
  model: Model,
  weights: TensorFile,
  given?: AbortSignal,
): Promise<ReadonlySet<Parameter>> {
  const names = new Map(
    [...matchNames(model, weights.tensors.keys()).found].map(([parameter, name]) => [name, parameter]),
  );
  const entries = [...weights.tensors.values()].filter(({ name }) => names.has(name));
  const left = each(entries), write = writeInBatches(executor);
  const loadLeft = async (): Promise<void> => {
    for (const entry of left) {
      given?.throwIfAborted();
      const { value } = names.get(entry.name)!;
      // A tied tensor has no place on the device if the programs of this run do not read it.
      if (executor.plan.location.has(value)) {
        if (entry.dtype === "I8") await loadQuantized(write, value, weights, entry);
        else await loadPieces(write, value, weights, entry);
      }
    }
  };
  for (const ended of await Promise.allSettled([loadLeft(), loadLeft()])) {
    if (ended.status === "rejected") throw ended.reason;
  }
  return new Set(names.values());
}

/**
 * Hands items to several loops, each to one of them. A loop that is left by an error ends this generator, and with it
 * the other loops.
 */
function* each<T>(items: Iterable<T>): Generator<T, void, void> {
  yield* items;
}

/** A `Write` that submits batch by batch, and waits for the device to be done with the batch before the last. */
function writeInBatches(executor: Executor): Write {
  const { queue } = executor.gpu.device;
  let bytes = 0, taken: Promise<unknown> = Promise.resolve();
  return async (tensor, data, first) => {
    executor.write(tensor, data, first);
    if ((bytes += data.byteLength) < BATCH_BYTES) return;
    queue.submit([]);
    const before = taken;
    [bytes, taken] = [0, queue.onSubmittedWorkDone()];
    await before;
  };
}

/** Uploads one tensor of a file to one on the device, of another format if need be. */
export const loadTensor = (executor: Executor, tensor: Tensor, file: TensorFile, entry: TensorEntry): Promise<void> =>
  loadPieces(writeInBatches(executor), tensor, file, entry);

async function loadPieces(write: Write, tensor: Tensor, file: TensorFile, entry: TensorEntry): Promise<void> {
  let first = 0;
  for await (const bytes of file.pieces(entry)) {
    if (SAME_BITS[entry.dtype] === tensor.type) {
      const words = toWords(bytes);
      await write(tensor, words, first);
      first += words.length;
    } else {
      const numbers = toFloat32(entry.dtype, bytes);
      await write(tensor, numbers, first);
      first += numbers.length;
    }
  }
}

/** The bytes as words, the last one filled with zeros: a view if they are aligned, else a copy. */
function toWords(bytes: Uint8Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  if (bytes.byteOffset % 4 === 0 && bytes.length % 4 === 0) {
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  }
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  return new Uint32Array(padded.buffer);
}

/**
 * Uploads a weight in int8 with a scale for each row (compressed-tensors' "weight_scale"). The codes stay as they are
 * if rows are whole groups.
 */
async function loadQuantized(write: Write, tensor: Tensor, file: TensorFile, entry: TensorEntry): Promise<void> {
  const { name } = entry, [rows, width] = tensor.shape as [number, number];
  const scaleEntry = file.tensors.get(`${name}_scale`);
  if (!scaleEntry) {
    throw new RangeError(
      `Cannot load ${name}: it is I8 and has no "${name}_scale" beside it. Use weights in BF16, F16 or F32, with ` +
        "load_in_8bit",
    );
  }
  const scales = toFloat32(scaleEntry.dtype, await file.read(scaleEntry));
  if (scales.length !== 1 && scales.length !== rows) {
    throw new RangeError(
      `Cannot load ${name}: its scale has ${scales.length} numbers, expected 1 or ${rows}, one a row. Use weights ` +
        "in BF16, F16 or F32, with load_in_8bit",
    );
  }
  const scaleOf = (index: number): number => scales[scales.length === 1 ? 0 : Math.floor(index / width)]!;
  const keepsCodes = tensor.type === "int8" && width % GROUP === 0;
  let first = 0;
  for await (const bytes of file.pieces(entry)) {
    const codes = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length), start = first;
    if (keepsCodes) await write(tensor, toWords(bytes), start / 4);
    else await write(tensor, Float32Array.from(codes, (code, i) => code * scaleOf(start + i)), start);
    first += codes.length;
  }
  const count = size(tensor);
  if (keepsCodes) {
    await write(
      tensor,
      new Uint32Array(Float32Array.from({ length: count / GROUP }, (_, group) => scaleOf(group * GROUP)).buffer),
      count / 4,
    );
  }
}
