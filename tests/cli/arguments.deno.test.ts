import { parseArgs } from "../../src/cli/arguments.ts";
import { writeFolder } from "../../src/checkpoint/model/directory.deno.ts";
import { ConfigError } from "../../src/recipe/config/config.ts";
import { assert, assertEquals, assertRejects, assertThrows, test } from "../harness.ts";
import { filesBelow, inFolder } from "./program.deno.ts";

const settings = (...args: string[]): Readonly<Record<string, unknown>> => parseArgs(args).settings;

test("a setting is given as --key value, --key=value or a bare --flag", () => {
  assertEquals(settings("--max_steps", "5", "--optim=sgd", "--gradient_checkpointing"), {
    max_steps: 5,
    optim: "sgd",
    gradient_checkpointing: true,
  });
  assertEquals(settings("--max-steps", "5", "--run-name=a-b"), { max_steps: 5, run_name: "a-b" });
  assertEquals(settings(), {});
  assertEquals(settings("--max_steps", "5", "--max_steps", "6"), { max_steps: 6 }, "the last one counts");
});

test("values are numbers, true and false, JSON, else text", () => {
  const values = {
    "5": 5,
    "-1": -1,
    "1e-3": 0.001,
    ".5": 0.5,
    "5.": 5,
    "+2": 2,
    "1e999": Infinity,
    true: true,
    false: false,
    "0x10": "0x10",
    "": "",
    "1 2": "1 2",
    NaN: "NaN",
    null: "null",
  };
  for (const [text, value] of Object.entries(values)) assertEquals(settings(`--seed=${text}`), { seed: value }, text);
  assertEquals(settings("--optim_args", '{"momentum": 0.5}'), { optim_args: { momentum: 0.5 } });
  assertEquals(settings("--seed", "-1"), { seed: -1 });
});

test("settings that are text stay text, whatever they look like", () => {
  for (const key of ["dataset", "data", "prompt", "run_name", "output_dir", "model", "config"]) {
    for (const value of ["5", "true", "{", "a=b", "1e3"]) {
      assertEquals(settings(`--${key}=${value}`), { [key]: value });
      assertEquals(settings(`--${key.replace("_", "-")}`, value), { [key]: value });
    }
  }
  assertEquals(settings("--prompt=--x"), { prompt: "--x" });
});

test("--json may stand anywhere and is no setting", () => {
  for (const args of [["--json", "--max_steps", "5"], ["--max_steps", "5", "--json"], ["--max_steps=5", "--json"]]) {
    assertEquals(parseArgs(args), { json: true, settings: { max_steps: 5 } });
  }
  assertEquals(parseArgs(["--max_steps", "5"]).json, false);
});

test("a key that every object inherits is kept as a key", () => {
  assertEquals(Object.entries(settings("--__proto__", "5", "--constructor=6")), [["__proto__", 5], ["constructor", 6]]);
});

test("what cannot be read is refused in one line", () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [["max_steps"], 'Cannot read "max_steps": expected --setting value'],
    [["--prompt", "two", "words"], 'Cannot read "words"'],
    [["-x"], 'Cannot read "-x"'],
    [["--dataset"], "Cannot read --dataset: expected a value after it"],
    [["--prompt", "--json"], "Cannot read --prompt: expected a value after it"],
    [["--run-name"], "Cannot read --run-name: expected a value after it"],
    [["--json=false"], 'Cannot read "--json=false": --json takes no value'],
    [["--optim_args", '{"a":'], 'Cannot read --optim_args: expected JSON, got {"a":'],
  ];
  for (const [args, includes] of cases) {
    assert(assertThrows(() => parseArgs(args), includes) instanceof ConfigError, includes);
  }
});

test("a folder is written whole, with every byte", () =>
  inFolder(async (folder) => {
    const large = new Uint8Array(5_000_000).map((_, i) => i * 7);
    await writeFolder(`${folder}/model`, new Map([["a.bin", large], ["empty", new Uint8Array(0)]]));
    assertEquals(await Deno.readFile(`${folder}/model/a.bin`), large);
    assertEquals(filesBelow(folder), ["model", "model/a.bin", "model/empty", "text.txt"]);
  }));

test("a folder that cannot be written whole is not there at all", () =>
  inFolder(async (folder) => {
    const files = new Map([["good", new Uint8Array(10)], ["no/such/folder", new Uint8Array(10)]]);
    await assertRejects(() => writeFolder(`${folder}/model`, files), "");
    assertEquals(filesBelow(folder), ["text.txt"]);
  }));
