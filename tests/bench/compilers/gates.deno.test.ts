// What the compilers of real GPUs make of the kernels stays as good as it is: compiled only, nothing is run.

import { assert, skip, test } from "../../harness.ts";
import { compileInWays } from "./compile_kernels.deno.ts";
import { createNullDevice, Unavailable } from "./null_device.deno.ts";
import { PRESETS } from "./presets.ts";
import { record } from "./record.ts";
import {
  type Compiler,
  COMPILERS,
  costliest,
  describeRow,
  percent,
  type Row,
  stepShare,
  type Table,
  type Way,
} from "./table.ts";

/** RDNA 2, and RDNA 3 by its names in Mesa 22.3 and in newer ones: one of these two is always skipped. */
const FAMILIES = ["navi21", "gfx1100", "navi31"] as const;

/** The least share of the peak that a step can reach on navi21, by compiler. */
const SHARES: Readonly<Record<string, Partial<Record<Compiler, number>>>> = {
  smollm: { naga: 0.9, tint: 0.91 },
  gpt2: { naga: 0.9, tint: 0.91 },
  llama60m: { naga: 0.9, tint: 0.91 },
  qlora: { tint: 0.88 },
};

/** The fewest waves of attention with heads of 64, on navi21 through naga: they hide the time that loads take. */
const WAVES = {
  flash_attention_tiled: 12,
  flash_attention_query_backward_tiled: 8,
  flash_attention_key_backward_tiled: 8,
};

/** Made by the first test that runs, for all. */
let compiled: ReturnType<typeof compile> | undefined;

/** Every kernel of every preset in every way. */
async function compile(): ReturnType<typeof compileInWays> {
  const ways = FAMILIES.flatMap((family) => COMPILERS.map((compiler) => ({ family, compiler })));
  try {
    using device = await createNullDevice();
    return await compileInWays(device, record(Object.keys(PRESETS), "tiled"), ways);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    return { tables: [], absent: ways.map((way) => ({ ...way, reason: error.message })) };
  }
}

/** The kernels in one way. Skips the test where they cannot be compiled. */
async function tableOf(family: string, compiler: Compiler): Promise<Table> {
  const { tables, absent } = await (compiled ??= compile());
  const isIt = (way: Way): boolean => way.family === family && way.compiler === compiler;
  return tables.find(isIt) ?? skip(absent.find(isIt)!.reason);
}

for (const family of FAMILIES) {
  for (const compiler of COMPILERS) {
    test(`${family}, ${compiler}: every kernel is compiled, without spills and scratch`, async () => {
      const { rows } = await tableOf(family, compiler);
      const spilled = ({ result }: Row): number =>
        typeof result === "string" ? Infinity : result.spills + result.scratchBytes;
      const wrong = rows.filter((row) => spilled(row) > 0).sort((a, b) => spilled(b) - spilled(a));
      assert(wrong.length === 0, `${wrong.length} of ${rows.length} kernels: ${wrong.map(describeRow).join("\n")}`);
    });
  }
}

for (const [preset, least] of Object.entries(SHARES)) {
  for (const compiler of COMPILERS) {
    const wanted = least[compiler];
    if (wanted === undefined) continue;
    test(`${preset}, ${compiler}: at least ${percent(wanted)} of its vector instructions are fma`, async () => {
      const table = await tableOf("navi21", compiler), share = stepShare(table, preset);
      assert(share >= wanted, `${percent(share)}; most is lost by ${describeRow(costliest(table, preset))}`);
    });
  }
}

// On gfx1100 nothing is asked of waves: Mesa 22.3, its first release for RDNA 3, has another idea of its registers than
// later ones.
test("navi21, naga: attention with heads of 64 has enough waves to hide its loads", async () => {
  const { rows } = await tableOf("navi21", "naga");
  for (const [name, fewest] of Object.entries(WAVES)) {
    const kernels = rows.filter(({ use }) => use.name === name);
    assert(kernels.length > 0, `no preset has ${name}`);
    const wavesOf = ({ result }: Row): number => typeof result === "string" ? 0 : result.waves;
    const worst = kernels.reduce((a, b) => (wavesOf(b) < wavesOf(a) ? b : a));
    assert(wavesOf(worst) >= fewest, `expected ${fewest} waves of ${describeRow(worst)}`);
  }
});
