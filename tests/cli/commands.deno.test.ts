import { OPTIMIZERS } from "../../src/optim/presets.ts";
import { ROLES } from "../../src/plan/tensor.ts";
import { assert, assertEquals, test } from "../harness.ts";
import { filesBelow, inFolder, linesOf, scrimp, succeeded, TINY } from "./program.deno.ts";

/** Deno then finds no adapter: this back end belongs to another system. */
const NO_ADAPTER = { DENO_WEBGPU_BACKEND: Deno.build.os === "windows" ? "metal" : "dx12" };

test("plan --json has the bytes of the run and of each optimizer, and writes nothing", () =>
  inFolder(async (folder) => {
    const [plan, ...rest] = linesOf(succeeded(await scrimp(folder, ["plan", "--json", ...TINY, "--max_steps=1"])));
    assertEquals([rest, Object.keys(plan!)], [[], [
      "parameters",
      "optim",
      "optim_args",
      "planned_bytes",
      "total_bytes",
      "optimizers",
    ]]);
    const bytes = plan!["planned_bytes"] as Record<string, number>;
    assertEquals([plan!["parameters"], plan!["optim"], Object.keys(bytes)], [6448, "adamw", [...ROLES]]);
    assertEquals(plan!["total_bytes"], Object.values(bytes).reduce((a, b) => a + b, 0));
    assertEquals((plan!["optimizers"] as { optim: string; bytes: object }[]).map(({ optim }) => optim), [
      ...OPTIMIZERS,
    ]);
    assertEquals((plan!["optimizers"] as { optim: string; bytes: object }[])[0]!.bytes, bytes);
    assertEquals(filesBelow(folder), ["text.txt"]);
  }));

test("plan needs no adapter and no data", () =>
  inFolder(async (folder) => {
    const { stdout } = succeeded(await scrimp(folder, ["plan", "--dataset=not-there.txt", ...TINY], NO_ADAPTER));
    for (
      const text of [
        "LLaMA of 6,448 parameters, 2 x 16 tokens, adamw",
        "role",
        "total",
        "The same run under each optimizer:",
        ...OPTIMIZERS,
      ]
    ) assert(stdout.includes(text), `no "${text}" in ${stdout}`);
  }));

test("plan of a model as wide as LLaMA-7B: an optimizer that does not fit is a row, in text and in --json", () =>
  inFolder(async (folder) => {
    const shape = [
      "--hidden_size=4096",
      "--num_attention_heads=32",
      "--num_key_value_heads=32",
      "--num_hidden_layers=1",
    ];
    const { stdout } = succeeded(await scrimp(folder, ["plan", ...TINY, ...shape]));
    assert(/^galore {10}Cannot orthonormalise .* k <= 768$/m.test(stdout), stdout);
    assert(/^adamw .* GiB$/m.test(stdout), stdout);
    const [plan] = linesOf(succeeded(await scrimp(folder, ["plan", "--json", ...TINY, ...shape])));
    const rows = plan!["optimizers"] as { optim: string; bytes?: object; problem?: string }[];
    assertEquals(rows.length, OPTIMIZERS.length);
    assert(rows.every(({ bytes, problem }) => (bytes === undefined) !== (problem === undefined)), JSON.stringify(rows));
  }));

test("plan --show-program prints the training step as it was recorded", () =>
  inFolder(async (folder) => {
    const { stdout } = succeeded(await scrimp(folder, ["plan", "--show-program", ...TINY]));
    const [, program] = stdout.split("\n\ntrain: ");
    assert(program !== undefined, stdout);
    const [first, ...steps] = program.trimEnd().split("\n");
    assertEquals(first, `${steps.length} dispatches`);
    assert(
      /^ *0 {2}embedding\(32, 16\) = embedding\(ids: batch 0 input_ids\(32\) u32 input, /.test(steps[0]!),
      steps[0]!,
    );
    assert(steps.every((line, i) => line.trimStart().startsWith(`${i}  `)), stdout);
  }));

test("what plan --json says is what train allocates", () =>
  inFolder(async (folder) => {
    const [plan] = linesOf(succeeded(await scrimp(folder, ["plan", "--json", ...TINY, "--max_steps=1"])));
    const trained = linesOf(
      succeeded(await scrimp(folder, ["train", "--json", "--dataset=text.txt", ...TINY, "--max_steps=1"])),
    );
    assertEquals((trained.at(-1)!["summary"] as Record<string, unknown>)["allocated_bytes"], plan!["planned_bytes"]);
  }));

test("devices --json describes the adapter", () =>
  inFolder(async (folder) => {
    const [adapter, ...rest] = linesOf(succeeded(await scrimp(folder, ["devices", "--json"])));
    assertEquals([rest, Object.keys(adapter!)], [[], [
      "name",
      "vendor",
      "architecture",
      "software",
      "features",
      "limits",
      "variant",
    ]]);
    assertEquals(adapter!["variant"] === "tiled", !adapter!["software"], "the kernels do not suit the adapter");
    assert(
      (adapter!["limits"] as Record<string, number>)["maxBufferSize"]! >= 2 ** 28,
      "maxBufferSize is below what WebGPU guarantees",
    );
    const { stdout } = succeeded(await scrimp(folder, ["devices"]));
    for (const text of [String(adapter!["name"]), "kernels ", "maxBufferSize"]) {
      assert(stdout.includes(text), `no "${text}" in ${stdout}`);
    }
  }));

test("generate gives the same text for the same seed, another for another, and the prompt first", () =>
  inFolder(async (folder) => {
    succeeded(await scrimp(folder, ["train", "--json", "--dataset=text.txt", "--run_name=a", ...TINY]));
    const generate = async (...args: string[]): Promise<string> =>
      succeeded(
        await scrimp(folder, [
          "generate",
          "--model",
          "runs/a/model",
          "--prompt",
          "On day 5",
          "--sample_tokens=12",
          ...args,
        ]),
      ).stdout;
    const text = await generate();
    assert(text.startsWith("On day 5") && text.endsWith("\n"), text);
    assertEquals(await generate(), text);
    assert(await generate("--seed=7") !== text, "the seed changes nothing");
    assertEquals(await generate("--temperature=0", "--seed=7"), await generate("--top_k=1"));
    const [line] = linesOf({ stdout: await generate("--json") });
    assertEquals(line, { prompt: "On day 5", text: text.slice(0, -1) });
  }));

test("help is shown for the asking, and instead of nothing", () =>
  inFolder(async (folder) => {
    for (const [args, code] of [[["help"], 0], [["--help"], 0], [["train", "--help"], 0], [[], 2]] as const) {
      const result = await scrimp(folder, args);
      assertEquals([result.code, result.stderr], [code, ""], args.join(" "));
      for (const name of ["train", "plan", "eval", "generate", "devices", "docs/configuration.md"]) {
        assert(result.stdout.includes(name), `${name} is not in the help of ${args}`);
      }
    }
    assertEquals(filesBelow(folder), ["text.txt"]);
  }));
