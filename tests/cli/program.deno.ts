// Runs the command line program as a user does: another process, in a folder of its own.

import { assert, assertEquals } from "../harness.ts";
import { command, type Result, run } from "../process.deno.ts";

const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;
const denoConfig = new URL("../../deno.json", import.meta.url).pathname;

/** Settings of a model that trains in no time, as flags. */
export const TINY = [
  ["tokenizer", "byte"],
  ["hidden_size", 16],
  ["intermediate_size", 32],
  ["num_hidden_layers", 1],
  ["num_attention_heads", 2],
  ["num_key_value_heads", 1],
  ["max_length", 16],
  ["per_device_train_batch_size", 2],
  ["max_steps", 4],
  ["logging_steps", 2],
  ["sample_tokens", 4],
].map(([key, value]) => `--${key}=${value}`);

export const TEXT = [...Array(60).keys()].map((n) =>
  `On day ${n} the cat sat on mat ${(n * 7) % 10} and saw ${n % 4} birds.\n`
).join("");

/** A temporary folder with text.txt in it, gone after `body`. */
export async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "scrimp-cli-" }));
  try {
    await Deno.writeTextFile(`${folder}/text.txt`, TEXT);
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The arguments with which Deno runs the command line. */
const program = (args: readonly string[]): string[] => ["run", "-A", "--quiet", "--config", denoConfig, main, ...args];

export const scrimp = (
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Result> => run(Deno.execPath(), program(args), { cwd: folder, env });

/** Starts the program, sends `signal` once it has printed `count` lines with `text`, and waits for its end. */
export async function scrimpInterrupted(
  folder: string,
  args: readonly string[],
  { text, count, signal }: { text: string; count: number; signal: Deno.Signal },
): Promise<Result & { readonly signal: Deno.Signal | null }> {
  const child = command(Deno.execPath(), program(args), { cwd: folder }).spawn();
  const errors = new Response(child.stderr).text();
  let stdout = "", sent = false;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    stdout += chunk;
    if (sent || stdout.split(text).length <= count) continue;
    sent = true;
    child.kill(signal);
  }
  const status = await child.status;
  assert(sent, `the program ended before it was interrupted: ${stdout.slice(-500)}`);
  return { code: status.code, signal: status.signal, stdout, stderr: await errors };
}

export type Line = Readonly<Record<string, unknown>>;

/** Each line of stdout as the JSON object it must be. */
export function linesOf({ stdout }: Pick<Result, "stdout">): Line[] {
  assert(stdout.endsWith("\n"), `the last line is cut: ${stdout.slice(-200)}`);
  return stdout.slice(0, -1).split("\n").map((text) => {
    const value: unknown = JSON.parse(text);
    assert(typeof value === "object" && value !== null && !Array.isArray(value), `not an object: ${text}`);
    return value as Line;
  });
}

/** The words about data in the first line of a run. */
export const validationTokensOf = (lines: readonly Line[]): number =>
  Number((lines[0]!["data"] as Line)["validation_tokens"]);

/** The result of a command that must succeed in silence. */
export function succeeded(result: Result): Result {
  assertEquals([result.code, result.stderr], [0, ""], `the command failed; stdout ${result.stdout.slice(-300)}`);
  return result;
}

/** Every path below a folder, sorted. */
export function filesBelow(folder: string, prefix = ""): string[] {
  return [...Deno.readDirSync(folder)].flatMap((
    { name, isDirectory },
  ) => [prefix + name, ...(isDirectory ? filesBelow(`${folder}/${name}`, `${prefix}${name}/`) : [])]).sort();
}
