// Runs programs as a user does: another process, in a folder of its own.

import { assert } from "./harness.ts";

export const repository = new URL("..", import.meta.url).pathname;

/** Mesa and Chromium look for a folder of their own, and complain on stderr without one. */
const runtimeFolder = Deno.makeTempDirSync({ prefix: "scrimp-runtime-" });
addEventListener("unload", () => Deno.removeSync(runtimeFolder, { recursive: true }));

/** The end of a process, and all that it has printed. */
export interface Result {
  readonly code: number;
  readonly signal: Deno.Signal | null;
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
  const { code, signal, stdout, stderr } = await command(program, args, place).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { code, signal, stdout: text(stdout), stderr: text(stderr) };
}

/** The output of a program that must succeed. */
export async function outputOf(program: string, args: readonly string[], place: Place): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, place);
  assert(code === 0, `${program} ${args.join(" ")} ended with ${code}: ${stdout.slice(-2000)}${stderr.slice(-2000)}`);
  return stdout;
}

const config = ["--quiet", "--config", `${repository}deno.json`];

/** Type-checks files with the checkout's configuration, in which the package has its own name. */
export const denoCheck = (cwd: string, files: readonly string[]): Promise<string> =>
  outputOf(Deno.execPath(), ["check", ...config, ...files], { cwd });

/** The last line of a program that has come to its end. */
const END = "the program has ended";

/**
 * The output of a Deno program that must come to its end. Mesa's llvmpipe (22.3) now and then corrupts the heap while a
 * process that has used it exits (4 of 300 runs of an example with a Worker): that is no failure of the program.
 */
export async function denoProgram(cwd: string, path: string): Promise<string> {
  const script = `await import(Deno.args[0]); console.log(${JSON.stringify(END)});`;
  const { code, signal, stdout, stderr } = await run(Deno.execPath(), ["eval", ...config, script, path], { cwd });
  const output = stdout.slice(0, stdout.lastIndexOf(END));
  const crashedAtExit = (signal === "SIGABRT" || signal === "SIGSEGV") && output.length < stdout.length;
  assert(code === 0 || crashedAtExit, `${path} ended with ${code}: ${stdout.slice(-2000)}${stderr.slice(-2000)}`);
  return output;
}
