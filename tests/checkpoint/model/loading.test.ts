// Loading holds little: a file is read once and in pieces, what is written leaves the host in batches,
// and frozen weights take the bytes that they have in the file.

import { assert, assertEquals, assertRejects, test } from "../../harness.ts";
import { folderOf, openModel } from "./folders.ts";
import { loadWeights } from "../../../src/checkpoint/model/load.ts";
import { openPretrained } from "../../../src/checkpoint/model/pretrained.ts";
import type { TensorData } from "../../../src/checkpoint/safetensors/writer.ts";
import type { ByteSource, Folder } from "../../../src/checkpoint/source/source.ts";
import { pack } from "../../../src/gpu/formats/index.ts";
import type { Json } from "../../../src/models/config_reader.ts";
import { freeze, type Freezing } from "../../../src/models/freeze.ts";
import type { Model } from "../../../src/models/architecture.ts";
import { createModel } from "../../../src/models/model.ts";
import type { Executor } from "../../../src/plan/executor.ts";

const PIECE = 4 << 20, BATCH = 16 << 20;
const DTYPES = { f32: "F32", bf16: "BF16", f16: "F16" } as const;

/** An embedding of 42 MB, ten pieces, beside matrices that are smaller than one. */
const WIDE: Json = {
  model_type: "llama",
  vocab_size: 163_840,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  tie_word_embeddings: true,
};
/** Matrices are 99.5 % of its bytes. */
const DEEP: Json = { ...WIDE, vocab_size: 256, hidden_size: 256, intermediate_size: 512 };

/** Numbers that differ from their neighbours and that every format holds. */
const numbersOf = (model: Model, type: keyof typeof DTYPES): TensorData[] =>
  model.parameters.map(({ value: { label, shape } }, seed) => {
    const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < values.length; i++) values[i] = ((i * 37 + (i >> 12) + seed) & 255) / 128 - 1;
    return { name: label, dtype: DTYPES[type], shape, data: pack(type, values) };
  });

const frozen = (json: Json, storedAs: Freezing["storedAs"], quantized?: Freezing["quantized"]): Model =>
  freeze(createModel(json), { trains: () => false, storedAs, quantized });

interface Watched {
  readonly folder: Folder;
  /** Every read of the weights: bytes from, up to. */
  readonly reads: [number, number][];
}

/** The folder with a source of the weights that tells what is read; `fails` may throw. */
function watch(folder: Folder, fails: (reads: number) => void = () => {}): Watched {
  const reads: [number, number][] = [];
  const watched = (source: ByteSource): ByteSource => ({
    ...source,
    read: (start, end) => {
      reads.push([start, end]);
      fails(reads.length);
      return source.read(start, end);
    },
  });
  return {
    folder: {
      ...folder,
      open: async (path) => {
        const source = await folder.open(path);
        return source && path.endsWith(".safetensors") ? watched(source) : source;
      },
    },
    reads,
  };
}

/** The most bytes that were written and not submitted, while `body` ran. */
async function mostPending({ gpu: { device: { queue } } }: Executor, body: () => Promise<unknown>): Promise<number> {
  const { writeBuffer, submit } = queue;
  let pending = 0, most = 0;
  Object.assign(queue, {
    writeBuffer(...args: Parameters<GPUQueue["writeBuffer"]>) {
      most = Math.max(most, pending += (args[2] as Uint32Array).byteLength);
      return writeBuffer.apply(queue, args);
    },
    submit(buffers: GPUCommandBuffer[]) {
      pending = 0;
      return submit.call(queue, buffers);
    },
  });
  try {
    await body();
  } finally {
    for (const name of ["writeBuffer", "submit"]) Reflect.deleteProperty(queue, name);
  }
  return most;
}

test("every byte of a file is read once, in pieces of 4 MiB at most, and leaves the host in batches", async () => {
  const plain = createModel(WIDE),
    tensors = numbersOf(plain, "f32"),
    { folder, reads } = watch(folderOf(plain, WIDE, { tensors }));
  const { weights, storedAs } = await openPretrained(folder),
    bytes = tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
  const opened = reads.splice(0);
  assert(opened.every(([, end]) => end < 10_000), "more than the header is read to open it");
  let most = 0;
  const model = frozen(WIDE, storedAs),
    trainer = await openModel(model, async (executor, model) => {
      most = await mostPending(executor, () => loadWeights(executor, model, weights));
      return new Set(model.parameters);
    });
  const inOrder = reads.toSorted(([a], [b]) => a - b);
  assert(inOrder.every(([start, end]) => end - start <= PIECE), "a read is larger than a piece");
  assertEquals(
    inOrder.slice(1).map(([start]) => start),
    inOrder.slice(0, -1).map(([, end]) => end),
    "pieces overlap, or leave something out",
  );
  assertEquals(inOrder.at(-1)![1] - inOrder[0]![0], bytes);
  // Both tensors that are under way may bring a piece more before one of them submits.
  assert(most > 0 && most < BATCH + 2 * PIECE, `${most} bytes of ${bytes} were pending at once`);
  for (const [i, { value }] of model.parameters.entries()) {
    assertEquals(await trainer.executor.readWords(value), tensors[i]!.data, value.label);
  }
  trainer.destroy();
});

test("an error ends all reading before it is thrown", async () => {
  const plain = createModel(DEEP),
    { folder, reads } = watch(folderOf(plain, DEEP), (count) => {
      if (count === 6) throw new RangeError("Cannot read on");
    });
  const { weights, storedAs } = await openPretrained(folder);
  await assertRejects(
    () => openModel(frozen(DEEP, storedAs), (executor, model) => loadWeights(executor, model, weights)),
    "Cannot read on",
  );
  // The other tensor that is under way may have begun before or after.
  const atTheError = reads.length;
  assert(atTheError <= 7, `${atTheError} reads`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(reads.length, atTheError, "reads after the error");
});

for (
  const [name, type, quantized, bits] of [
    ["f32", "f32", undefined, 32],
    ["bf16", "bf16", undefined, 16],
    ["f16", "f16", undefined, 16],
    ["int8 of bf16", "bf16", "int8", 8.5],
    ["nf4 of bf16", "bf16", "nf4", 4.5],
  ] as const
) {
  test(`frozen weights in ${name} take the bytes that they are stored in`, async () => {
    const plain = createModel(DEEP),
      { weights, storedAs } = await openPretrained(folderOf(plain, DEEP, { tensors: numbersOf(plain, type) }));
    const model = frozen(DEEP, storedAs, quantized),
      trainer = await openModel(model, (executor, model) => loadWeights(executor, model, weights));
    // Linear layers count as they are quantized, the rest as the file has it; the table of RoPE and norms in f32 are
    // the difference.
    const stored = [...weights.tensors.values()].reduce(
      (sum, { name, start, end }) =>
        sum + (end - start) * (name.includes("_proj") ? bits / { F32: 32, BF16: 16, F16: 16 }[DTYPES[type]] : 1),
      0,
    );
    const { frozen: bytes, trainable } = trainer.executor.allocatedBytes;
    assertEquals(trainable, 0);
    assert(bytes >= stored && bytes < 1.01 * stored, `${bytes} bytes of buffers for ${stored} stored`);
    trainer.destroy();
  });
}
