// Kernels through a compiler of WebGPU and the driver of a GPU that is not there.

import { type NullDevice, Unavailable } from "./null_device.deno.ts";
import { type Outcome, parsePrinted } from "./printed.ts";
import type { Use } from "./record.ts";
import type { Table, Way } from "./table.ts";

/** Attempts to get a kernel through a compiler that crashes: Dawn sometimes does, without a real device. */
const ATTEMPTS = 2;

/** Processes at a time. */
const PROCESSES = 2;

/** A way that this machine has not. */
export interface Absent extends Way {
  readonly reason: string;
}

/** Compiles kernels in several ways. */
export async function compileInWays(
  device: NullDevice,
  uses: readonly Use[],
  ways: readonly Way[],
): Promise<{ tables: Table[]; absent: Absent[] }> {
  const results: (Table | Absent)[] = [], left = ways.entries();
  const work = async (): Promise<void> => {
    for (const [i, way] of left) {
      results[i] = await compileKernels(device, uses, way).catch((error: unknown) => {
        if (error instanceof Unavailable) return { ...way, reason: error.message };
        throw error;
      });
    }
  };
  await Promise.all(Array.from({ length: PROCESSES }, work));
  return {
    tables: results.filter((result) => "rows" in result),
    absent: results.filter((result) => "reason" in result),
  };
}

/**
 * Compiles kernels in one way.
 * @throws Unavailable without the compiler, or if the driver does not know the family.
 */
async function compileKernels(device: NullDevice, uses: readonly Use[], way: Way): Promise<Table> {
  const path = Deno.makeTempFileSync({ prefix: "scrimp-kernels-" }), results: Outcome["result"][] = [];
  let adapter = "";
  try {
    Deno.writeTextFileSync(path, JSON.stringify(uses.map(({ source }) => source)));
    for (let failures = 0; results.length < uses.length;) {
      const printed = await runCompiler(device, way, path, results.length), done = parsePrinted(printed);
      adapter ||= adapterOf(printed, way);
      for (const { index, result } of done) results[index] = result;
      failures = done.length > 0 ? 0 : failures + 1;
      if (failures < ATTEMPTS) continue;
      results.push(`the compiler crashes: ${printed.trim().split("\n").at(-1)}`);
      failures = 0;
    }
  } finally {
    Deno.removeSync(path);
  }
  return { ...way, adapter, rows: uses.map((use, i) => ({ use, result: results[i]! })) };
}

/** All that a process printed that compiles kernels, the first ones left out. */
async function runCompiler(
  { environment }: NullDevice,
  { family, compiler }: Way,
  path: string,
  from: number,
): Promise<string> {
  const script = new URL("compile.deno.ts", import.meta.url).pathname;
  // Without the project's configuration, which leaves Deno no packages but those of package.json.
  const flags = ["--quiet", "--allow-all", "--no-config", "--no-lock", "--no-check"];
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...flags, script, compiler, path, String(from)],
    env: { ...environment, RADV_FORCE_FAMILY: family, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  return new TextDecoder().decode(stderr);
}

/** The adapter's name, which a process prints first. */
function adapterOf(printed: string, { family, compiler }: Way): string {
  const [, adapter] = printed.match(/^@@adapter (.*)$/m) ?? [];
  if (adapter !== undefined) return adapter;
  const reason = printed.match(/^@@unavailable (.*)$/m)?.[1] ?? printed.trim().split("\n").slice(-3).join(" ");
  throw new Unavailable(`Cannot compile for ${family} with ${compiler}: ${reason}`);
}
