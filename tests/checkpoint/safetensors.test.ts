import { decodeSafetensors, encodeSafetensors, type NamedTensor } from "../../src/checkpoint/safetensors.ts";
import { readTensors } from "../oracle/files.ts";
import { assert, assertEquals, assertThrows, random, readShared, skip, test } from "../harness.ts";

const uniform = random(7);
const made = (name: string, shape: readonly number[]): NamedTensor => ({ name, shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => uniform() - 0.5) });

const TENSORS: readonly NamedTensor[] = [
  made("b.weight", [3, 5]),
  made("a", [7]),
  made("scalar", []),
  made("empty", [0, 4]),
  made("naïve 日本", [1, 1, 2]),
  { name: "special", shape: [6], data: Float32Array.of(NaN, Infinity, -Infinity, -0, 1e-45, 3.4e38) },
];
const byName = (tensors: readonly NamedTensor[]): readonly NamedTensor[] => [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1));

test("tensors come back with the same names, shapes and bits, in the order of their names", () => {
  assertEquals(decodeSafetensors(encodeSafetensors(TENSORS)), byName(TENSORS));
  assertEquals(decodeSafetensors(encodeSafetensors([])), []);
});

test("a file can be read out of a larger buffer, and a tensor written from one", () => {
  const whole = Float32Array.of(9, 1, 2, 3, 9);
  const file = encodeSafetensors([{ name: "part", shape: [3], data: whole.subarray(1, 4) }]);
  const larger = new Uint8Array(file.length + 11);
  larger.set(file, 5);
  assertEquals(decodeSafetensors(larger.subarray(5, 5 + file.length)), [{ name: "part", shape: [3], data: Float32Array.of(1, 2, 3) }]);
});

test("the data of every file begins at a multiple of eight bytes", () => {
  for (const name of ["a", "ab", "abc", "abcdefgh", "é", "日本", "🐈"]) {
    const file = encodeSafetensors([{ name, shape: [1], data: Float32Array.of(1) }]);
    assertEquals([new DataView(file.buffer).getUint32(0, true) % 8, file.length % 8], [0, 4], name);
  }
});

test("another reader of the format finds the same tensors", async () => {
  const found = await readTensors(() => Promise.resolve(encodeSafetensors(TENSORS)), "model.safetensors");
  assertEquals([...found], byName(TENSORS).map(({ name, shape, data }) => [name, { shape, data }]));
});

test("a file that huggingface's library wrote is read as another reader reads it", async () => {
  const path = "fixtures/models/llama-tiny/model.safetensors", bytes = await readShared(path);
  if (!bytes) skip(`shared/${path} is not here`);
  const expected = await readTensors(readShared, path);
  const found = decodeSafetensors(bytes);
  assertEquals(new Map(found.map(({ name, shape, data }) => [name, { shape, data }])).size, expected.size);
  for (const { name, shape, data } of found) assertEquals({ shape, data }, expected.get(name), name);
});

/** A file with any header and any number of bytes of data. */
function fileOf(header: unknown, dataBytes: number, length?: number): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + json.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(length ?? json.length), true);
  file.set(json, 8);
  return file;
}
const f32 = (from: number, to: number, shape: readonly unknown[] = [(to - from) / 4]) => ({ dtype: "F32", shape, data_offsets: [from, to] });

test("what the format allows is read: metadata, trailing spaces, any order, an empty tensor between others", () => {
  const names = (file: Uint8Array<ArrayBuffer>): string[] => decodeSafetensors(file).map(({ name }) => name);
  assertEquals(names(fileOf({ __metadata__: { format: "pt" }, z: f32(0, 4), a: f32(4, 12) }, 12)), ["z", "a"]);
  assertEquals(names(fileOf(`${JSON.stringify({ a: f32(0, 4) })}     `, 4)), ["a"]);
  assertEquals(names(fileOf({ b: f32(4, 8), none: f32(4, 4), a: f32(0, 4) }, 8)), ["a", "none", "b"]);
});

const good = encodeSafetensors([{ name: "a", shape: [4], data: new Float32Array(4) }]);
const REFUSED: readonly (readonly [string, Uint8Array<ArrayBuffer>, string])[] = [
  ["no bytes", new Uint8Array(0), "expected at least 8 bytes, got 0"],
  ["seven bytes", good.slice(0, 7), "expected at least 8 bytes, got 7"],
  ["no header", good.slice(0, 8), "its header claims"],
  ["a header cut short", good.slice(0, 30), "its header claims"],
  ["data cut short", good.slice(0, -1), 'tensor "a" of shape (4) claims bytes 0 to 16 of 15'],
  ["bytes after the last tensor", Uint8Array.from([...good, 0]), "1 bytes belong to no tensor"],
  ["bytes and no tensor", fileOf({}, 3), "3 bytes belong to no tensor"],
  ["a header longer than the file", fileOf({}, 0, 3), "its header claims 3 bytes, the file has 10"],
  ["a header of 2^64 - 1 bytes", Uint8Array.from([255, 255, 255, 255, 255, 255, 255, 255, 123, 125]), "its header claims"],
  ["a header that is no JSON", fileOf("{", 0), "its header is not JSON"],
  ["an empty header", fileOf("", 0), "its header is not JSON"],
  ["a header that is no UTF-8", Uint8Array.from([2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe]), "its header is not JSON"],
  ["a header that is a list", fileOf([], 0), "its header is not an object"],
  ["a header that is null", fileOf("null", 0), "its header is not an object"],
  ["a header that is text", fileOf('"a"', 0), "its header is not an object"],
  ["an entry that is null", fileOf({ a: null }, 0), 'the entry of tensor "a" is malformed'],
  ["an entry without a shape", fileOf({ a: { dtype: "F32", data_offsets: [0, 4] } }, 4), 'the entry of tensor "a" is malformed'],
  ["a negative dimension", fileOf({ a: f32(0, 4, [-1, -1]) }, 4), 'the entry of tensor "a" is malformed'],
  ["a broken dimension", fileOf({ a: f32(0, 4, [0.5, 2]) }, 4), 'the entry of tensor "a" is malformed'],
  ["a dimension that is text", fileOf({ a: f32(0, 4, ["1"]) }, 4), 'the entry of tensor "a" is malformed'],
  ["a dimension past 2^53", fileOf({ a: f32(0, 4, [2 ** 60]) }, 4), 'the entry of tensor "a" is malformed'],
  ["one offset", fileOf({ a: { dtype: "F32", shape: [1], data_offsets: [0] } }, 4), 'the entry of tensor "a" is malformed'],
  ["a negative offset", fileOf({ a: f32(-4, 0, [1]) }, 4), 'the entry of tensor "a" is malformed'],
  ["an end before the start", fileOf({ a: f32(4, 0, [1]) }, 4), 'tensor "a" of shape (1) claims bytes 4 to 0 of 4'],
  ["overlapping tensors", fileOf({ a: f32(0, 8), b: f32(4, 12) }, 12), 'tensor "b" of shape (2) claims bytes 4 to 12 of 12'],
  ["two tensors in one place", fileOf({ a: f32(0, 4), b: f32(0, 4) }, 4), 'tensor "b" of shape (1) claims bytes 0 to 4 of 4'],
  ["a gap before the first tensor", fileOf({ a: f32(4, 8) }, 8), 'tensor "a" of shape (1) claims bytes 4 to 8 of 8'],
  ["a gap between tensors", fileOf({ a: f32(0, 4), b: f32(8, 12) }, 12), 'tensor "b" of shape (1) claims bytes 8 to 12 of 12'],
  ["a shape smaller than its bytes", fileOf({ a: f32(0, 8, [1]) }, 8), 'tensor "a" of shape (1) claims bytes 0 to 8 of 8'],
  ["a shape of more elements than any file has", fileOf({ a: f32(0, 4, [2 ** 30, 2 ** 30]) }, 4), "claims bytes 0 to 4 of 4"],
  ["data past the end", fileOf({ a: f32(0, 8) }, 4), 'tensor "a" of shape (2) claims bytes 0 to 8 of 4'],
  ["another type", fileOf({ a: { dtype: "BF16", shape: [2], data_offsets: [0, 4] } }, 4), 'tensor "a" is BF16, expected F32'],
];

for (const [name, file, includes] of REFUSED) {
  test(`a safetensors file with ${name} is refused`, () => {
    const error = assertThrows(() => decodeSafetensors(file), includes);
    assert(error instanceof RangeError && /^Cannot read the safetensors file: [^\n]*\. Copy the file again$/.test(error.message), `${error.name}: ${error.message}`);
  });
}
