import { openSafetensors } from "../../../src/checkpoint/safetensors/reader.ts";
import { assert, assertEquals, assertRejects, test } from "../../harness.ts";
import { type Bytes, CountingSource, entry, f32, fileOf } from "./files.ts";

const FILE = fileOf({ a: entry("U8", [3], 0, 3), b: f32(3, 43), none: f32(43, 43) }, 43);
const concat = (pieces: readonly Bytes[]): Bytes => Uint8Array.from(pieces.flatMap((piece) => [...piece]));

test("a tensor is read whole or in part, wherever it begins, and nothing else is read", async () => {
  const source = new CountingSource(FILE), file = await openSafetensors(source), b = file.tensors.get("b")!;
  assertEquals(source.requested, FILE.length - 43, "bytes read to open the file");
  assertEquals(await file.read(b), FILE.slice(b.start, b.end));
  assertEquals(await file.read(b, 4, 8), FILE.slice(b.start + 4, b.start + 8));
  assertEquals(await file.read(b, 36), FILE.slice(b.end - 4, b.end));
  assertEquals(await file.read(b, 40, 40), new Uint8Array(0));
  assertEquals(source.requested, FILE.length - 43 + 40 + 4 + 4, "bytes read in all");
});

test("pieces of any size make up the tensor, the last one shorter; an empty tensor has none", async () => {
  const source = new CountingSource(FILE), file = await openSafetensors(source), b = file.tensors.get("b")!;
  for (const size of [1, 7, 16, 39, 40, 41]) {
    const pieces = await Array.fromAsync(file.pieces(b, size));
    assertEquals(
      pieces.map(({ length }) => length),
      Array.from({ length: Math.ceil(40 / size) }, (_, i) => Math.min(size, 40 - i * size)),
      `pieces of ${size}`,
    );
    assertEquals(concat(pieces), FILE.slice(b.start, b.end), `pieces of ${size}`);
  }
  assertEquals((await Array.fromAsync(file.pieces(b))).length, 1);
  assertEquals(await Array.fromAsync(file.pieces(file.tensors.get("none")!)), []);
});

test("pieces are read when they are asked for, not before", async () => {
  const source = new CountingSource(FILE), file = await openSafetensors(source), before = source.requested;
  for await (const piece of file.pieces(file.tensors.get("b")!, 8)) {
    assertEquals([piece.length, source.requested - before], [8, 8]);
    break;
  }
  assertEquals(source.requested - before, 8);
});

test("parts outside a tensor, tensors of another file and pieces of no bytes are refused", async () => {
  const file = await openSafetensors(new CountingSource(FILE)),
    other = await openSafetensors(new CountingSource(FILE)),
    b = file.tensors.get("b")!;
  for (const [first, last] of [[0, 41], [-1, 4], [8, 4], [NaN, 4], [0, Infinity]] as const) {
    await assertRejects(
      () => file.read(b, first, last),
      `Cannot read bytes ${first} to ${last} of tensor "b": it has 40`,
    );
  }
  await assertRejects(() => other.read(b), 'Cannot read tensor "b": it is none of file.safetensors');
  for (const size of [0, -1, 1.5, NaN]) {
    await assertRejects(
      () => Array.fromAsync(file.pieces(b, size)),
      `Cannot read tensor "b" in pieces of ${size} bytes`,
    );
  }
});

test("metadata and the file's own source are at hand", async () => {
  const source = new CountingSource(fileOf({ __metadata__: { format: "pt", __proto__: "gone", step: "7" } }, 0)),
    file = await openSafetensors(source);
  assertEquals([...file.metadata], [["format", "pt"], ["step", "7"]]);
  assert(
    file.sources.length === 1 && file.sources[0] === source && file.name === source.name,
    "the source is not the one that was opened",
  );
});
