import { writeFolder } from "../checkpoint/model/directory.deno.ts";
import type { MethodResult, RunResult } from "../recipe/comparison/comparison_results.ts";
import type { Comparison } from "../recipe/comparison/settings.ts";
import { comparisonSvg } from "../report/comparison_chart.ts";
import { ConfigError } from "../recipe/config/config.ts";
import { markdownTable } from "./compare_report.ts";

/**
 * The folder of a comparison: comparison.json, with which --config goes on with it; results.jsonl, a line for each run
 * that ended; results.md and comparison.svg, which show them.
 */
export interface ComparisonFolder {
  readonly path: string;
  /** Results of the runs that ended, in this process or before. */
  readonly results: readonly RunResult[];
  /** Adds a result, which is on the disk when this resolves. */
  add(result: RunResult): Promise<void>;
  summarize(description: string, methods: readonly MethodResult[]): Promise<void>;
}

/**
 * Makes the folder, or goes on with the one that is there.
 * @throws ConfigError if it belongs to something else, or cannot be made.
 */
export async function openComparisonFolder(
  { base: { output_dir, run_name }, settings, title }: Comparison,
): Promise<ComparisonFolder> {
  const name = run_name || `compare-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}`;
  const path = `${output_dir}/${name}`;
  const own = { ...settings, run_name: name };
  if (await exists(path)) await checkSame(path, own);
  else await makeFolder(path, `${JSON.stringify(own, null, 2)}\n`);
  const results = await readResults(path);
  return {
    path,
    results,
    async add(result) {
      await appendLine(`${path}/results.jsonl`, JSON.stringify(result));
      results.push(result);
    },
    async summarize(description, methods) {
      const parts = [
        `# ${title}`,
        description,
        markdownTable(methods),
        "![Validation loss and memory of each method](comparison.svg)",
      ];
      await Deno.writeTextFile(`${path}/results.md`, `${parts.join("\n\n")}\n`);
      await Deno.writeTextFile(`${path}/comparison.svg`, comparisonSvg({ title, subtitle: description, methods }));
    },
  };
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch {
    return false;
  }
}

async function makeFolder(path: string, settings: string): Promise<void> {
  try {
    await writeFolder(path, new Map([["comparison.json", new TextEncoder().encode(settings)]]));
  } catch (error) {
    throw new ConfigError(
      `Cannot start the comparison: ${path} cannot be made (${
        (error as Error).message
      }). Choose another run_name or output_dir`,
    );
  }
}

/** Refuses other settings than the folder's. Its own place does not matter. */
async function checkSame(path: string, settings: Readonly<Record<string, unknown>>): Promise<void> {
  let found: Readonly<Record<string, unknown>>;
  try {
    found = JSON.parse(await Deno.readTextFile(`${path}/comparison.json`)) as typeof found;
  } catch {
    throw new ConfigError(
      `Cannot start the comparison: ${path} exists already and is no comparison's. Choose another run_name`,
    );
  }
  const changed = [...new Set([...Object.keys(found), ...Object.keys(settings)])]
    .filter((key) =>
      key !== "output_dir" && key !== "run_name" && JSON.stringify(found[key]) !== JSON.stringify(settings[key])
    );
  if (changed.length > 0) {
    throw new ConfigError(
      `Cannot go on with ${path}: it was started with other settings, ${
        changed.join(", ")
      } differ. Choose another run_name, or use --config ${path}/comparison.json`,
    );
  }
}

/** The results so far. A line that a kill cut short is taken out of the file, and its run is done again. */
async function readResults(path: string): Promise<RunResult[]> {
  const file = `${path}/results.jsonl`;
  const text = await exists(file) ? await Deno.readTextFile(file) : "";
  const end = text.lastIndexOf("\n") + 1;
  if (end < text.length) await Deno.writeTextFile(file, text.slice(0, end));
  return text.slice(0, end).split("\n").filter(Boolean).map((line, i) => {
    try {
      return JSON.parse(line) as RunResult;
    } catch {
      throw new ConfigError(
        `Cannot go on with ${path}: line ${i + 1} of results.jsonl is no JSON. Delete the line to do its run again`,
      );
    }
  });
}

async function appendLine(path: string, line: string): Promise<void> {
  using file = await Deno.open(path, { append: true, create: true });
  const bytes = new TextEncoder().encode(`${line}\n`);
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
  await file.syncData();
}
