// What compilers of real GPUs make of the kernels, without a GPU: registers, spills, waves, and the instructions of
// loops. Mesa's RADV compiles for an AMD GPU that is not there (null_device.c); nothing is run.
//
// Usage: npm run bench -- --compilers [options] [FILE.wgsl …]; Linux, with cc and Debian's mesa-vulkan-drivers
//   --preset smollm,gpt2 | all    training steps whose kernels are compiled; "list" names them
//   --family navi21,gfx1100       GPUs, by RADV's names: RDNA 2, RDNA 3 (navi31 in newer Mesa); vega10 is GCN
//   --compiler naga,tint          Deno's, Chromium's (the package webgpu, fetched by Deno into its own cache)
//   --kernels REGEX               only kernels whose label matches, with a row for each; by default those kernels have
//                                 one that are 1 % of a step or more
//   --target tiled                or portable, portable_small
//   --wgsl DIR  --isa DIR         writes each kernel's WGSL and machine code
//   --driver FILE                 another libvulkan_radeon.so than the system's
//   --json                        JSON instead of Markdown
//   FILE.wgsl                     these texts instead of a preset's: edit what --wgsl wrote, and compare

import { parseArgs } from "node:util";
import type { KernelTarget } from "../../../src/gpu/device.ts";
import { compileInWays } from "./compile_kernels.deno.ts";
import { createNullDevice } from "./null_device.deno.ts";
import { PRESETS } from "./presets.ts";
import { kernelOfFile, record, type Use } from "./record.ts";
import { report } from "./report.deno.ts";
import { type Compiler, COMPILERS, describeRow, type Table } from "./table.ts";

const text = { type: "string" } as const, flag = { type: "boolean", default: false } as const;
const { values: options, positionals: files } = parseArgs({
  allowPositionals: true,
  options: {
    preset: { ...text, default: "smollm,gpt2,llama60m,qlora" },
    family: { ...text, default: "navi21" },
    compiler: { ...text, default: COMPILERS.join(",") },
    kernels: { ...text, default: "" },
    target: { ...text, default: "tiled" },
    ...{ wgsl: text, isa: text, driver: text, json: flag },
  },
});

async function main(): Promise<number> {
  if (options.preset === "list") {
    for (const [name, { summary }] of Object.entries(PRESETS)) console.log(`${name.padEnd(12)}${summary}`);
    return 0;
  }
  const presets = options.preset === "all" ? Object.keys(PRESETS) : options.preset.split(",");
  const isPart = files.length > 0 || options.kernels !== "";
  const uses = usesOf(presets), ways = waysOf(options.family.split(","), options.compiler.split(","));
  console.error(
    `${uses.length} kernels, ${ways.map(({ family, compiler }) => `${family} ${compiler}`).join(", ")} ...`,
  );
  using device = await createNullDevice(options.driver);
  const { tables, absent } = await compileInWays(device, uses, ways);
  if (options.wgsl) writeTexts(options.wgsl, uses.map(({ label, source }) => [`${label}.wgsl`, source]));
  for (const table of options.isa ? tables : []) writeTexts(options.isa!, machineCodeOf(table));
  if (options.json) console.log(JSON.stringify(tables.map(withoutTexts), null, 1));
  else if (tables.length > 0) console.log(report(tables, isPart ? [] : presets));
  const failed = tables.flatMap(({ rows, family, compiler }) =>
    rows.filter(({ result }) => typeof result === "string").map((row) => `${family}, ${compiler}: ${describeRow(row)}`)
  );
  for (const problem of [...absent.map(({ reason }) => reason), ...failed]) console.error(`bench: ${problem}`);
  return failed.length > 0 || tables.length === 0 ? 1 : 0;
}

function usesOf(presets: readonly string[]): Use[] {
  const uses = files.length > 0
    ? files.map((path) => kernelOfFile(path, Deno.readTextFileSync(path)))
    : record(presets, options.target as KernelTarget);
  const chosen = uses.filter(({ label }) => new RegExp(options.kernels).test(label));
  if (chosen.length === 0) throw new RangeError(`Cannot find a kernel that matches --kernels ${options.kernels}`);
  return chosen;
}

function waysOf(families: readonly string[], compilers: readonly string[]): { family: string; compiler: Compiler }[] {
  const wrong = compilers.find((name) => !(COMPILERS as readonly string[]).includes(name));
  if (wrong) throw new RangeError(`Cannot take --compiler ${wrong}: expected ${COMPILERS.join(" or ")}`);
  return families.flatMap((family) => compilers.map((compiler) => ({ family, compiler: compiler as Compiler })));
}

const machineCodeOf = ({ family, compiler, rows }: Table): [name: string, text: string][] =>
  rows.map(({ use, result }) => [
    `${family} ${compiler} ${use.label}.s`,
    typeof result === "string" ? result : result.assembly,
  ]);

function writeTexts(folder: string, texts: readonly (readonly [name: string, text: string])[]): void {
  Deno.mkdirSync(folder, { recursive: true });
  for (const [name, text] of texts) Deno.writeTextFileSync(`${folder}/${name.replace(/[^\w.=]+/g, "_")}`, text);
}

/** A table without WGSL and machine code, which are long and have options of their own. */
const withoutTexts = ({ rows, ...way }: Table) => ({
  ...way,
  rows: rows.map(({ use: { source: _source, ...use }, result }) => ({
    use,
    result: typeof result === "string" ? result : { ...result, assembly: undefined },
  })),
});

try {
  Deno.exit(await main());
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  Deno.exit(2);
}
