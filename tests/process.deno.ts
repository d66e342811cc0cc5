// Runs programs as a user does: another process, in a folder of its own.

import { assert } from "./harness.ts";

export const repository = new URL("..", import.meta.url).pathname;

/** Mesa and Chromium look for a folder of their own, and complain on stderr without one. */
const runtimeFolder = Deno.makeTempDirSync({ prefix: "scrimp-runtime-" });
addEventListener("unload", () => Deno.removeSync(runtimeFolder, { recursive: true }));

/** The end of a process, and all that it has printed. */
export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The place of a process, and variables beside those of this one. */
export interface Place {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

export const command = (program: string, args: readonly string[], { cwd, env = {} }: Place): Deno.Command =>
  new Deno.Command(program, {
    args: [...args],
    cwd,
    env: { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1", XDG_RUNTIME_DIR: runtimeFolder, ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });

export async function run(program: string, args: readonly string[], place: Place): Promise<Result> {
  const { code, stdout, stderr } = await command(program, args, place).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** The output of a program that must succeed. */
export async function outputOf(program: string, args: readonly string[], place: Place): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, place);
  assert(code === 0, `${program} ${args.join(" ")} ended with ${code}: ${stdout.slice(-2000)}${stderr.slice(-2000)}`);
  return stdout;
}

/** Runs Deno with the checkout's configuration, in which the package has its own name. */
export const deno = (cwd: string, verb: string, ...rest: readonly string[]): Promise<string> =>
  outputOf(Deno.execPath(), [verb, "--quiet", "--config", `${repository}deno.json`, ...rest], { cwd });
