import type { Contents, Files } from "../checkpoint/model/save.ts";
import { syncFolder } from "../checkpoint/store/directory.deno.ts";
import { ConfigError, nameSettings, parseConfig, type TrainingConfig } from "../recipe/config/config.ts";
import type { Arguments } from "./arguments.ts";

/** The settings of --config FILE.json with those of the flags laid over them, checked. Notes go to stderr. */
export const readConfig = async (args: Arguments): Promise<TrainingConfig> =>
  parseConfig(await readSettings(args, nameSettings));

/**
 * The settings of --config FILE.json with those of the flags laid over them, both under the names that `name` gives.
 */
export async function readSettings(
  { settings: { config: file, ...flags } }: Arguments,
  name: typeof nameSettings,
): Promise<Record<string, unknown>> {
  const note = (message: string): void => console.error(`note: ${message}`);
  const fromFile = file === undefined ? {} : await readJson(String(file));
  const fromFlags = name(flags, note);
  // An empty shell variable must not quietly train on, or from, something else.
  if (fromFlags["dataset"] === "") {
    throw new ConfigError(
      'Cannot use "dataset": expected the path of a text file, got "". Leave it out to train on the embedded stories',
    );
  }
  const empty = ["model", "adapter", "tokenizer", "resume_from_checkpoint"].find((key) => fromFlags[key] === "");
  if (empty) throw new ConfigError(`Cannot use "${empty}": expected a path, got "". Leave it out if there is none`);
  return { ...name(fromFile, note), ...fromFlags };
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  const text = new TextDecoder().decode(await readFile(path, "config"));
  try {
    const settings: unknown = JSON.parse(text);
    if (typeof settings === "object" && settings !== null && !Array.isArray(settings)) {
      return settings as Record<string, unknown>;
    }
  } catch {
    // Falls through to the same error.
  }
  throw new ConfigError(`Cannot use config ${path}: expected a JSON object of settings`);
}

export async function readFile(path: string, what: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    // Some devices never end.
    if ((await Deno.stat(path)).isCharDevice) throw new Error("it is a device, not a file");
    return await Deno.readFile(path);
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound ? "there is no such file" : (error as Error).message;
    throw new ConfigError(`Cannot read ${what} ${path}: ${reason}. Check the path, it is relative to ${Deno.cwd()}`);
  }
}

/** Writes a folder whole or not at all: into a temporary neighbour, which is then renamed. */
export async function writeFolder(path: string, files: Files): Promise<void> {
  const temporary = `${path}.partial`;
  // A killed process may have left a folder there.
  await Deno.remove(temporary, { recursive: true }).catch(() => {});
  await Deno.mkdir(temporary, { recursive: true }).catch((error: Error) => {
    throw new ConfigError(`Cannot write ${path}: the folder cannot be made (${error.message}). Choose another one`);
  });
  try {
    for (const [name, contents] of files) await writeFile(`${temporary}/${name}`, contents);
    await syncFolder(temporary);
    await Deno.rename(temporary, path);
    await syncFolder(path.replace(/[^/]*\/*$/, "") || ".");
  } catch (error) {
    await Deno.remove(temporary, { recursive: true });
    if ((error as { code?: string }).code === "ENOSPC") {
      throw new Error(
        `Cannot write ${path}: the disk is full. Free some space; a run that saved checkpoints goes on from the ` +
          "last one with --resume_from_checkpoint",
      );
    }
    throw error;
  }
}

/** Writes a file, whose bytes are on the disk when it resolves, not just with the system. */
async function writeFile(path: string, contents: Contents): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  for await (const bytes of contents instanceof Uint8Array ? [contents] : contents) {
    for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
  }
  await file.syncData();
}

/**
 * Bytes this process may still use if the GPU is the CPU; Infinity for a real GPU, whose memory WebGPU does not report.
 */
export function availableBytes(software: boolean): number {
  return software ? Deno.systemMemoryInfo().available : Infinity;
}
