import { openCheckpoint } from "../../../src/checkpoint/safetensors/reader.ts";
import { directoryFolder } from "../../../src/checkpoint/source/directory.deno.ts";
import { assert, assertEquals, assertRejects, test } from "../../harness.ts";
import { entry, f32, fileOf } from "../safetensors/files.ts";

/** Runs in a folder that is gone afterwards. */
async function inFolder(run: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    await run(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

const refused = async (run: () => Promise<unknown>, includes: string): Promise<void> => {
  const error = await assertRejects(run, includes);
  assert(error instanceof RangeError && !error.message.includes("\n"), `${error.name}: ${error.message}`);
};

test("a file is read in parts, below folders and through links too; an absent one is null", () =>
  inFolder(async (path) => {
    await Deno.mkdir(`${path}/sub`);
    await Deno.writeFile(`${path}/sub/file`, Uint8Array.of(1, 2, 3, 4, 5));
    await Deno.symlink(`${path}/sub/file`, `${path}/link`);
    const folder = directoryFolder(path);
    for (const name of ["sub/file", "link"]) {
      const source = (await folder.open(name))!;
      assertEquals([source.name, source.size, await source.read(1, 4), await source.read(5, 5)], [
        `${path}/${name}`,
        5,
        Uint8Array.of(2, 3, 4),
        new Uint8Array(0),
      ]);
      await refused(() => source.read(0, 6), `Cannot read bytes 0 to 6 of ${path}/${name}: it has 5`);
    }
    assertEquals([await folder.open("other"), await folder.open("sub/file/other")], [null, null]);
  }));

test("names that leave the folder, folders in the place of files and absent folders are refused", () =>
  inFolder(async (path) => {
    await Deno.mkdir(`${path}/sub`);
    for (const name of ["../x", "/etc/hostname", "sub/../../x", "file:///etc/hostname", ""]) {
      await refused(() => directoryFolder(path).open(name), "expected the name of a file below");
    }
    await refused(() => directoryFolder(path).open("sub"), "it is not a file");
    await refused(() => directoryFolder(`${path}/none`).open("x"), "there is no such folder");
  }));

test("a file that changes, shrinks or goes while it is read is an error", () =>
  inFolder(async (path) => {
    const changes: readonly (readonly [() => Promise<void>, string])[] = [
      [() => Deno.writeFile(`${path}/file`, new Uint8Array(9)), "the file has changed meanwhile"],
      [() => Deno.truncate(`${path}/file`, 4), "the file has changed meanwhile"],
      [() => Deno.utime(`${path}/file`, 1, 1), "the file has changed meanwhile"],
      [() => Deno.remove(`${path}/file`), "it is gone"],
    ];
    for (const [change, message] of changes) {
      await Deno.writeFile(`${path}/file`, new Uint8Array(8));
      const source = (await directoryFolder(path).open("file"))!;
      await source.read(0, 4);
      await change();
      await refused(() => source.read(4, 8), message);
    }
  }));

test("a checkpoint of many shards keeps no file open, and each piece of it is the right one", () =>
  inFolder(async (path) => {
    const SHARDS = 1500, weight_map: Record<string, string> = {};
    for (let i = 0; i < SHARDS; i++) {
      weight_map[`t${i}`] = `${i}.safetensors`;
      await Deno.writeFile(
        `${path}/${i}.safetensors`,
        fileOf({ [`t${i}`]: i % 2 ? f32(0, 4) : entry("U8", [3], 0, 3) }, i % 2 ? 4 : 3),
      );
    }
    await Deno.writeTextFile(`${path}/model.safetensors.index.json`, JSON.stringify({ weight_map }));
    const openFiles = () => [...Deno.readDirSync("/proc/self/fd")].length,
      before = Deno.build.os === "linux" ? openFiles() : 0;
    const file = await openCheckpoint(directoryFolder(path));
    assertEquals([file.tensors.size, file.sources.length], [SHARDS, SHARDS]);
    assertEquals(await file.read(file.tensors.get("t1001")!), Uint8Array.of(1, 2, 3, 4));
    if (Deno.build.os === "linux") assert(openFiles() < before + 20, `${openFiles() - before} more files are open`);
  }));

test("a large tensor is read piece by piece", () =>
  inFolder(async (path) => {
    const bytes = 9 << 20, file = fileOf({ w: entry("U8", [bytes], 0, bytes) }, bytes);
    await Deno.writeFile(`${path}/model.safetensors`, file);
    const opened = await openCheckpoint(directoryFolder(path)), w = opened.tensors.get("w")!;
    let at = w.start;
    const lengths: number[] = [];
    for await (const piece of opened.pieces(w)) {
      assertEquals(piece, file.slice(at, at += piece.length));
      lengths.push(piece.length);
    }
    assertEquals(lengths, [4 << 20, 4 << 20, 1 << 20]);
  }));
