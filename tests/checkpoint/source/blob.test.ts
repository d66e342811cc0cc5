import { blobSource, chosenFiles, filesFolder } from "../../../src/checkpoint/source/blob.ts";
import { isInside } from "../../../src/checkpoint/source/path.ts";
import { assertEquals, assertRejects, test } from "../../harness.ts";

test("a Blob is read in parts, and not past its end", async () => {
  const source = blobSource("numbers", new Blob([Uint8Array.of(1, 2, 3, 4, 5)]));
  assertEquals([source.name, source.size], ["numbers", 5]);
  assertEquals(await source.read(1, 4), Uint8Array.of(2, 3, 4));
  assertEquals(await source.read(5, 5), new Uint8Array(0));
  for (const [start, end] of [[0, 6], [-1, 2], [3, 2], [NaN, 2]] as const) {
    await assertRejects(() => source.read(start, end), `Cannot read bytes ${start} to ${end} of numbers: it has 5`);
  }
});

test("files of a page are found by their names, others are absent", async () => {
  const folder = filesFolder("model", new Map([["a/b.txt", new Blob(["text"])]]));
  assertEquals(new TextDecoder().decode(await (await folder.open("a/b.txt"))!.read(0, 4)), "text");
  assertEquals([(await folder.open("a/b.txt"))!.name, await folder.open("b.txt"), await folder.open("__proto__")], [
    "model/a/b.txt",
    null,
    null,
  ]);
});

test("a name is inside a folder unless it climbs out of it, begins at a root, or is an address", () => {
  for (const name of ["a", "a/b", "a..b", "..a", "a/.b", "a/..b", ".", "a/./b"]) {
    assertEquals(isInside(name), true, name);
  }
  for (
    const name of [
      "",
      "..",
      "../a",
      "a/..",
      "a/../b",
      "..\\a",
      "a\\..\\b",
      "/a",
      "\\a",
      "C:a",
      "c:\\a",
      "https://a",
      "a://b",
      "a\0b",
    ]
  ) assertEquals(isInside(name), false, name);
});

test("chosenFiles(): paths begin in the chosen folder; files that were chosen one by one have their names", () => {
  const inFolder = (path: string): File =>
    Object.defineProperty(new File([], path.split("/").at(-1)!), "webkitRelativePath", { value: path });
  const whole = chosenFiles([inFolder("gpt2/config.json"), inFolder("gpt2/onnx/model.json")]);
  assertEquals([whole.name, [...whole.files.keys()]], ["gpt2", ["config.json", "onnx/model.json"]]);
  const single = chosenFiles([new File([], "a.json"), new File([], "b.json")]);
  assertEquals([single.name, [...single.files.keys()]], ["chosen files", ["a.json", "b.json"]]);
  assertEquals(chosenFiles([]).files.size, 0);
});
