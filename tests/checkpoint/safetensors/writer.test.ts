import type { Dtype } from "../../../src/checkpoint/safetensors/dtype.ts";
import { openSafetensors } from "../../../src/checkpoint/safetensors/reader.ts";
import { encodeSafetensors, type TensorData, writeSafetensors } from "../../../src/checkpoint/safetensors/writer.ts";
import { blobSource } from "../../../src/checkpoint/source/blob.ts";
import { assert, assertEquals, assertRejects, assertThrows, random, readShared, skip, test } from "../../harness.ts";
import { type Bytes, CountingSource } from "./files.ts";
import { parseAgain } from "./second_parser.ts";

const uniform = random(11);
const made = (name: string, dtype: Dtype, shape: readonly number[], bytes: number): TensorData => ({
  name,
  dtype,
  shape,
  data: Uint8Array.from({ length: bytes }, () => 256 * uniform()),
});
const TENSORS: readonly TensorData[] = [
  made("b.weight", "F32", [3, 5], 60),
  made("a.weight", "BF16", [7], 14),
  made("a.scales", "F16", [2, 1], 4),
  made("a.codes", "U32", [3], 12),
  made("q", "I8", [3, 3], 9),
  made("step", "I64", [], 8),
  made("empty", "F32", [0, 4], 0),
  made("__proto__", "F32", [1], 4),
  made("7", "F32", [1], 4),
  made('naïve 日本 😀 "\\\n', "F32", [1], 4),
  { name: "part", dtype: "F32", shape: [3], data: Float32Array.of(9, 1, 2, 3, 9).subarray(1, 4) },
];
const METADATA = new Map([["format", "pt"], ["__proto__", "x"], ["training", JSON.stringify({ step: 7 })]]);
const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBuffer>): Bytes =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** The same file in chunks of at most `size` bytes, put together. */
async function stream(tensors: readonly TensorData[], size: number, order: string[] = []): Promise<Bytes> {
  const entries = tensors.map(({ name, dtype, shape, data }) => ({ name, dtype, shape, bytes: data.byteLength }));
  const chunks = writeSafetensors(entries, METADATA, async function* (name) {
    order.push(name);
    const bytes = bytesOf(tensors.find((tensor) => tensor.name === name)!.data);
    for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
  });
  return new Uint8Array(await new Blob(await Array.fromAsync(chunks)).arrayBuffer());
}

test("what was written is read: names, types, shapes, bits and metadata", async () => {
  const file = await openSafetensors(new CountingSource(encodeSafetensors(TENSORS, METADATA)));
  assertEquals([...file.tensors.keys()].sort(), TENSORS.map(({ name }) => name).sort());
  for (const { name, dtype, shape, data } of TENSORS) {
    const entry = file.tensors.get(name)!;
    assertEquals([entry.dtype, entry.shape], [dtype, shape], name);
    assertEquals(await file.read(entry), bytesOf(data).slice(), name);
  }
  assertEquals([...file.metadata].sort(), [...METADATA].sort());
});

test("a second reader finds the same, also in a file without tensors or metadata", () => {
  assertEquals(
    parseAgain(encodeSafetensors(TENSORS, METADATA))?.tensors.map(({ name }) => name).sort(),
    TENSORS.map(({ name }) => name).sort(),
  );
  assertEquals(parseAgain(encodeSafetensors([])), { tensors: [], metadata: [] });
});

test("in chunks of any size, the streamed file is the one written at once", async () => {
  for (const size of [1, 5, 64]) {
    const order: string[] = [];
    assertEquals(await stream(TENSORS, size, order), encodeSafetensors(TENSORS, METADATA), `chunks of ${size}`);
    assertEquals(order, [
      "step",
      "7",
      "__proto__",
      "b.weight",
      "empty",
      'naïve 日本 😀 "\\\n',
      "part",
      "a.codes",
      "a.weight",
      "a.scales",
      "q",
    ], "larger types first, then by name");
  }
});

test("the data begins at a multiple of eight bytes, each tensor at one of its elements", async () => {
  for (const name of ["a", "ab", "abc", "é", "日本", "🐈"]) {
    const file = await openSafetensors(
      new CountingSource(
        encodeSafetensors([
          made(name, "U8", [1], 1),
          made("x", "F64", [1], 8),
          made("y", "F16", [3], 6),
          made("z", "F32", [1], 4),
        ]),
      ),
    );
    for (const { name, start, end, shape } of file.tensors.values()) {
      assert(start % ((end - start) / Math.max(1, ...shape)) === 0, `${name} begins at ${start}`);
    }
  }
});

test("files that huggingface's library wrote are written again byte for byte", async () => {
  for (
    const path of [
      "llama-tiny/model",
      "llama-tiny-bf16/model",
      "llama-tiny-f16/model",
      "gpt2-tiny/model",
      "stories260K/model",
    ]
  ) {
    const bytes = await readShared(`fixtures/models/${path}.safetensors`);
    if (!bytes) skip("the shared folder has no fixtures/models");
    const file = await openSafetensors(blobSource(path, new Blob([bytes])));
    const tensors = await Promise.all(
      [...file.tensors.values()].map(async (entry) => ({ ...entry, data: await file.read(entry) })),
    );
    assertEquals(encodeSafetensors(tensors.reverse(), file.metadata), bytes, path);
  }
});

test("tensors that would make no valid file are refused before the first byte", () => {
  const refuse = (tensors: readonly TensorData[], includes: string): void => {
    const entries = tensors.map(({ name, dtype, shape, data }) => ({ name, dtype, shape, bytes: data.byteLength }));
    assertThrows(() => encodeSafetensors(tensors), `Cannot write the safetensors file: ${includes}`);
    assertThrows(
      () => writeSafetensors(entries, new Map(), () => new Blob([]).stream() as unknown as AsyncIterable<Bytes>),
      includes,
    );
  };
  refuse([made("a", "F32", [1], 4), made("a", "F32", [1], 4)], 'the name "a" is taken');
  refuse([made("__metadata__", "F32", [1], 4)], 'the name "__metadata__" is taken');
  refuse([made("a", "F32", [2], 4)], 'tensor "a" of F32 (2) needs 8 bytes, got 4');
  refuse(
    [made("a", "F32", [2 ** 30, 2 ** 30], 4)],
    'tensor "a": F32 (1073741824, 1073741824) has more elements than any file',
  );
  refuse([made("a", "F4", [3], 2)], 'tensor "a": F4 (3) ends inside a byte');
  refuse([made("a", "F32", [0, -1], 0)], 'tensor "a" has a shape (0, -1)');
  refuse([made("a", "F32", [0.5, 2], 4)], 'tensor "a" has a shape (0.5, 2)');
  refuse([made("\ud83d", "F32", [1], 4)], '"\\ud83d" has half a surrogate pair');
  assertThrows(() => encodeSafetensors([], new Map([["a", "\ude00"]])), "has half a surrogate pair");
});

test("data that is longer or shorter than promised ends the stream with an error", async () => {
  const written = (length: number): Promise<unknown> =>
    Array.fromAsync(writeSafetensors([{ name: "a", dtype: "U8", shape: [4], bytes: 4 }], new Map(), async function* () {
      for (let i = 0; i < length; i++) yield new Uint8Array(1);
    }));
  await written(4);
  await assertRejects(() => written(3), 'tensor "a" has 3 bytes, it was to have 4');
  await assertRejects(() => written(5), 'tensor "a" has more than the 4 bytes that it was to have');
});
