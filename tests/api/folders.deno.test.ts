import { directory, readDataset } from "../../src/exports/deno.ts";
import { assertEquals, assertRejects, test } from "../harness.ts";

const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

async function inFolder(body: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    await body(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

test("a directory is written once, whole, and read", () =>
  inFolder(async (path) => {
    const folder = directory(`${path}/out/model`);
    await folder.write(new Map([["a.txt", bytes("abc")]]));
    assertEquals(new TextDecoder().decode(await (await folder.open("a.txt"))!.read(1, 3)), "bc");
    await assertRejects(() => folder.write(new Map([["a.txt", bytes("x")]])), "it exists already and is not empty");
    await Deno.mkdir(`${path}/empty`);
    await directory(`${path}/empty`).write(new Map([["b.txt", bytes("b")]]));
    assertEquals(await Deno.readTextFile(`${path}/empty/b.txt`), "b");
    assertEquals([...Deno.readDirSync(path)].map(({ name }) => name).sort(), ["empty", "out"]);
  }));

test("a dataset is a text, a file of rows, or a folder of files named after their split", () =>
  inFolder(async (path) => {
    for (const name of ["text.txt", "rows.jsonl", "folder/train.jsonl", "folder/test.jsonl", "folder/notes.md"]) {
      await Deno.mkdir(`${path}/folder`, { recursive: true });
      await Deno.writeTextFile(`${path}/${name}`, '{"text":"hello"}\r\n');
    }
    const names = async (name: string): Promise<unknown> => {
      const dataset = await readDataset(`${path}/${name}`);
      if (typeof dataset === "string") return dataset;
      const of = (split: keyof typeof dataset) => dataset[split]?.map((file) => file.name.replace(`${path}/`, ""));
      return [of("train"), of("validation"), of("test")];
    };
    assertEquals(await names("text.txt"), '{"text":"hello"}\n');
    assertEquals(await names("rows.jsonl"), [["rows.jsonl"], [], undefined]);
    assertEquals(await names("folder"), [["folder/train.jsonl"], [], ["folder/test.jsonl"]]);
    await assertRejects(() => readDataset(`${path}/none.jsonl`), "there is no such file");
  }));
