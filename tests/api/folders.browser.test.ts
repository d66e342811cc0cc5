import { directoryHandle, fineTune, trainModel } from "../../src/index.ts";
import { assertEquals, assertRejects, test } from "../harness.ts";
import { TEXT, TINY } from "../train/tiny.ts";

async function emptyFolder(name: string): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  await root.removeEntry(name, { recursive: true }).catch(() => {});
  return await root.getDirectoryHandle(name, { create: true });
}

test("a model is saved to the handle of a folder and trained further from it", async () => {
  const handle = await emptyFolder("scrimp test model");
  const made = await trainModel({ ...TINY, dataset: TEXT, max_steps: 1 });
  await made.save(directoryHandle(handle));
  made.close();
  assertEquals((await Array.fromAsync(handle.keys())).sort(), [
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
  const { tokenizer: _, ...settings } = TINY;
  const run = await fineTune({ ...settings, model: handle, dataset: TEXT, max_steps: 1, peft: true });
  assertEquals(run.config.model, "scrimp test model");
  run.close();
});

test("a file in the handle of a folder is read, an absent one is null, and none outside is opened", async () => {
  const folder = directoryHandle(await emptyFolder("scrimp test files"));
  await folder.write(new Map([["a.txt", new TextEncoder().encode("abc")]]));
  assertEquals(new TextDecoder().decode(await (await folder.open("a.txt"))!.read(1, 3)), "bc");
  assertEquals([await folder.open("b.txt"), await folder.open("a/b.txt")], [null, null]);
  await assertRejects(() => folder.open("../a.txt"), "expected the name of a file below");
});

test("a file whose making fails leaves the one before it", async () => {
  const folder = directoryHandle(await emptyFolder("scrimp test failure"));
  await folder.write(new Map([["a.txt", new TextEncoder().encode("before")]]));
  async function* broken(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    yield new TextEncoder().encode("aft");
    throw new Error("the device is gone");
  }
  await assertRejects(() => folder.write(new Map([["a.txt", broken()]])), "the device is gone");
  assertEquals(new TextDecoder().decode(await (await folder.open("a.txt"))!.read(0, 6)), "before");
});
