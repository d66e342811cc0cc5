import { openCheckpoint, type TensorFile } from "../../../src/checkpoint/safetensors/reader.ts";
import { toFloat32 } from "../../../src/checkpoint/safetensors/numbers.ts";
import { filesFolder } from "../../../src/checkpoint/source/blob.ts";
import type { Folder } from "../../../src/checkpoint/source/source.ts";
import { assert, assertClose, assertEquals, assertRejects, readShared, skip, test } from "../../harness.ts";
import { readTensors } from "../../oracle/files.ts";
import { f32, fileOf } from "./files.ts";

type Contents = Readonly<Record<string, Uint8Array<ArrayBuffer> | object>>;

const folderOf = (files: Contents): Folder =>
  filesFolder(
    "folder",
    new Map(
      Object.entries(files).map((
        [name, content],
      ) => [name, new Blob([content instanceof Uint8Array ? content : JSON.stringify(content)])]),
    ),
  );

const FIRST = fileOf({ __metadata__: { format: "pt" }, a: f32(0, 8) }, 8),
  SECOND = fileOf({ b: f32(0, 4), c: f32(4, 12) }, 12);
const index = (weight_map: unknown, metadata?: unknown) => ({
  ...(metadata === undefined ? {} : { metadata }),
  weight_map,
});
const MAP = { a: "1.safetensors", b: "2.safetensors", c: "2.safetensors" };
const sharded = (content: object, more: Contents = {}): Folder =>
  folderOf({ "1.safetensors": FIRST, "2.safetensors": SECOND, "model.safetensors.index.json": content, ...more });

test("shards read as one file, in their order", async () => {
  for (
    const metadata of [undefined, {}, { total_size: 20 }, {
      total_size: 20,
      total_parameters: 5,
      by: { someone: [true, null, -1.5e3] },
    }]
  ) {
    const file = await openCheckpoint(sharded(index(MAP, metadata)));
    assertEquals([...file.tensors.keys()], ["a", "b", "c"]);
    assertEquals(await file.read(file.tensors.get("c")!), Uint8Array.of(5, 6, 7, 8, 9, 10, 11, 12));
    assertEquals(file.sources.map(({ name, size }) => [name, size]), [["folder/1.safetensors", FIRST.length], [
      "folder/2.safetensors",
      SECOND.length,
    ]]);
    assertEquals([...file.metadata], [["format", "pt"]]);
  }
  assertEquals(
    (await openCheckpoint(
      sharded(new TextEncoder().encode(`\n{"metadata": {"total_size": 20.0}, "weight_map": ${JSON.stringify(MAP)}}\n`)),
    )).tensors.size,
    3,
  );
});

test("a single file comes before an index, an adapter's file is read by its name", async () => {
  const single = await openCheckpoint(sharded(index(MAP), { "model.safetensors": FIRST }));
  assertEquals([...single.tensors.keys()], ["a"]);
  const adapter = await openCheckpoint(folderOf({ "adapter_model.safetensors": SECOND }), "adapter_model.safetensors");
  assertEquals([...adapter.tensors.keys()], ["b", "c"]);
});

const WRONG: readonly (readonly [name: string, folder: Folder, message: string])[] = [
  [
    "no weights at all",
    folderOf({ "config.json": {} }),
    "Cannot read the weights of folder: it has neither model.safetensors nor model.safetensors.index.json. Give the " +
    "folder of a Hugging Face model",
  ],
  [
    "a pickle only",
    folderOf({ "pytorch_model.bin": new Uint8Array(9) }),
    "pytorch_model.bin holds Python objects, which may run code. Convert it to model.safetensors",
  ],
  [
    "pickles in shards",
    folderOf({ "pytorch_model.bin.index.json": {} }),
    "pytorch_model.bin.index.json holds Python objects",
  ],
  [
    "an index that is no JSON",
    sharded(new TextEncoder().encode("weights")),
    "Cannot read folder/model.safetensors.index.json: its JSON is not an object",
  ],
  ["an index that is a list", sharded([]), "its JSON is not an object"],
  ["an index of two objects", sharded(new TextEncoder().encode("{}{}")), "its object is followed by something else"],
  ["an index without a weight_map", sharded({}), "it has no weight_map from tensors to shards"],
  ["an index without tensors", sharded(index({})), "it has no weight_map from tensors to shards"],
  [
    "an index of more than 50 MB",
    sharded(new Uint8Array(50_000_001)),
    "it has 50000001 bytes, at most 50000000 are allowed",
  ],
  ["a shard that is a number", sharded(index({ ...MAP, a: 1 })), 'its weight_map gives tensor "a" no shard'],
  [
    "a tensor twice in the index",
    sharded(new TextEncoder().encode('{"weight_map": {"a": "1.safetensors", "a": "2.safetensors"}}')),
    'the name "a" stands there twice',
  ],
  ["a shard that is not there", sharded(index({ ...MAP, d: "3.safetensors" })), 'its shard "3.safetensors" is missing'],
  [
    "a shard above the folder",
    sharded(index({ ...MAP, a: "../1.safetensors" })),
    'its shard "../1.safetensors" is not below the folder',
  ],
  [
    "a shard above the folder by a detour",
    sharded(index({ ...MAP, a: "x/../../1.safetensors" })),
    "is not below the folder",
  ],
  [
    "a shard above the folder of Windows",
    sharded(index({ ...MAP, a: "..\\1.safetensors" })),
    "is not below the folder",
  ],
  [
    "a shard at the root",
    sharded(index({ ...MAP, a: "/etc/passwd" })),
    'its shard "/etc/passwd" is not below the folder',
  ],
  [
    "a shard on another machine",
    sharded(index({ ...MAP, a: "https://example.org/1.safetensors" })),
    "is not below the folder",
  ],
  ["a shard without a name", sharded(index({ ...MAP, a: "" })), 'its shard "" is not below the folder'],
  [
    "10 001 shards",
    sharded(index(Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`t${i}`, `${i}.safetensors`])))),
    "it names 10001 shards, at most 10000 are allowed",
  ],
  [
    "a tensor that no shard has",
    sharded(index({ ...MAP, d: "2.safetensors" })),
    'shard "2.safetensors" does not hold tensor "d", which the index puts there',
  ],
  [
    "a tensor that the index does not name",
    sharded(index({ a: "1.safetensors", b: "2.safetensors" })),
    'shard "2.safetensors" holds tensor "c", which the index does not name',
  ],
  [
    "a tensor in another shard",
    sharded(index({ ...MAP, c: "1.safetensors" })),
    'shard "2.safetensors" holds tensor "c", which the index puts into "1.safetensors"',
  ],
  [
    "a tensor in two shards",
    sharded(index(MAP), { "1.safetensors": fileOf({ a: f32(0, 8), b: f32(8, 12) }, 12) }),
    'shard "1.safetensors" holds tensor "b", which the index puts into "2.safetensors"',
  ],
  [
    "a total_size that is not theirs",
    sharded(index(MAP, { total_size: 21 })),
    "its total_size is 21, the tensors have 20 bytes",
  ],
  ["a total_size that is a text", sharded(index(MAP, { total_size: "20" })), "its total_size is not a number"],
  [
    "a broken shard",
    sharded(index(MAP), { "2.safetensors": SECOND.slice(0, -1) }),
    "Cannot read folder/2.safetensors: its tensors end at byte 12 of the data, expected 11",
  ],
];

for (const [name, folder, message] of WRONG) {
  test(`a folder with ${name} is refused`, async () => {
    const error = await assertRejects(() => openCheckpoint(folder), message);
    assert(error instanceof RangeError && !error.message.includes("\n"), `${error.name}: ${error.message}`);
  });
}

interface Expected {
  readonly tensors: Readonly<
    Record<
      string,
      { readonly dtype: string; readonly shape: readonly number[]; readonly l2: number; readonly sum: number }
    >
  >;
}

async function numbersOf(file: TensorFile, name: string): Promise<Float32Array<ArrayBuffer>> {
  const entry = file.tensors.get(name);
  assert(entry, `${name} is missing`);
  return toFloat32(entry.dtype, await file.read(entry));
}

/** A folder of the shared fixtures. */
async function sharedFolder(path: string): Promise<Folder> {
  if (!await readShared(`${path}/config.json`)) skip(`shared/${path} is not here`);
  return {
    name: path,
    async open(name) {
      const bytes = await readShared(`${path}/${name}`);
      return bytes && await filesFolder(path, new Map([[name, new Blob([bytes])]])).open(name);
    },
  };
}

for (
  const [fixture, dtype] of [["llama-tiny-sharded", "F32"], ["llama-tiny-bf16", "BF16"], [
    "llama-tiny-f16",
    "F16",
  ]] as const
) {
  test(`${fixture} has the norms and sums that PyTorch finds`, async () => {
    const path = `fixtures/models/${fixture}`, file = await openCheckpoint(await sharedFolder(path));
    const { tensors } = JSON.parse(new TextDecoder().decode((await readShared(`${path}/expected.json`))!)) as Expected;
    assertEquals([...file.tensors.keys()].sort(), Object.keys(tensors).sort());
    for (const [name, { shape, l2, sum }] of Object.entries(tensors)) {
      assertEquals([file.tensors.get(name)!.dtype, file.tensors.get(name)!.shape], [dtype, shape], name);
      const numbers = await numbersOf(file, name), absolute = numbers.reduce((total, x) => total + Math.abs(x), 0);
      // Both sum the same exact numbers in f64, in another order.
      assertClose([Math.hypot(...numbers)], [l2], { name: `norm of ${name}`, relative: 1e-12 });
      assertClose([numbers.reduce((total, x) => total + x, 0)], [sum], {
        name: `sum of ${name}`,
        relative: 1e-12,
        scale: [absolute],
      });
    }
  });
}

test("the shards hold the bits of the single file that they were cut from", async () => {
  const file = await openCheckpoint(await sharedFolder("fixtures/models/llama-tiny-sharded"));
  const whole = await readTensors(readShared, "fixtures/models/llama-tiny/model.safetensors");
  assertEquals([...file.tensors.keys()].sort(), [...whole.keys()].sort());
  for (const [name, { data }] of whole) assertEquals(await numbersOf(file, name), data, name);
});
