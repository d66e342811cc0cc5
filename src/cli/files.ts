import { type Files, type LoadedModel, loadModelFiles } from "../checkpoint/model_files.ts";
import { normalizeText } from "../data/text.ts";
import { ConfigError, nameSettings, parseConfig, type TrainingConfig } from "../train/config.ts";
import type { TrainingState } from "../train/trainer.ts";
import { decodeTraining } from "../train/training_file.ts";
import type { Arguments } from "./arguments.ts";

/** The settings of --config FILE.json, those of the flags laid over them, checked. Notes go to stderr. */
export const readConfig = async (args: Arguments): Promise<TrainingConfig> => parseConfig(await readSettings(args, nameSettings));

/** The settings of --config FILE.json, those of the flags laid over them, both under the names that `name` gives them. */
export async function readSettings({ settings: { config: file, ...flags } }: Arguments, name: typeof nameSettings): Promise<Record<string, unknown>> {
  const note = (message: string): void => console.error(`note: ${message}`);
  const fromFile = file === undefined ? {} : await readJson(String(file));
  const fromFlags = name(flags, note);
  // An empty shell variable must not quietly train on something else.
  if (fromFlags["dataset"] === "") throw new ConfigError('Cannot use "dataset": expected the path of a text file, got "". Leave it out to train on the embedded stories');
  return { ...name(fromFile, note), ...fromFlags };
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  const text = new TextDecoder().decode(await readFile(path, "config"));
  try {
    const settings: unknown = JSON.parse(text);
    if (typeof settings === "object" && settings !== null && !Array.isArray(settings)) return settings as Record<string, unknown>;
  } catch {
    // Falls through to the same error.
  }
  throw new ConfigError(`Cannot use config ${path}: expected a JSON object of settings`);
}

/** The text of the dataset, or undefined where the config names none: then the embedded stories are used. */
export async function readDataset({ dataset }: Pick<TrainingConfig, "dataset">): Promise<string | undefined> {
  if (dataset === "") return undefined;
  try {
    return normalizeText(await readFile(dataset, "dataset"));
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`Cannot use dataset ${dataset}: ${(error as Error).message}`);
  }
}

async function readFile(path: string, what: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound ? "there is no such file" : (error as Error).message;
    throw new ConfigError(`Cannot read ${what} ${path}: ${reason}. Check the path, it is relative to ${Deno.cwd()}`);
  }
}

/** @throws ConfigError if `folder` is not a model's. */
export async function loadModel(folder: unknown): Promise<LoadedModel> {
  if (typeof folder !== "string") throw new ConfigError('Cannot load a model: expected --model FOLDER, the "model" folder of a run');
  return await loadModelFiles(async (name) => {
    try {
      return await Deno.readFile(`${folder}/${name}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
      throw new ConfigError(`Cannot load the model: ${folder}/${name} cannot be read (${(error as Error).message})`);
    }
  });
}

/** Writes a folder whole or not at all: into a temporary neighbour, which is then renamed. */
export async function writeFolder(path: string, files: Files): Promise<void> {
  const temporary = `${path}.partial`;
  await Deno.mkdir(temporary, { recursive: true });
  try {
    for (const [name, bytes] of files) await writeFile(`${temporary}/${name}`, bytes);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary, { recursive: true });
    throw error;
  }
}

/** Writes a file whole or not at all: what was there stays until the new one is on the disk. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  await writeFile(`${path}.partial`, bytes);
  await Deno.rename(`${path}.partial`, path);
}

/** The training state that resume_from_checkpoint names: a run's folder or its checkpoint file. Undefined if it names none. */
export async function readCheckpoint(config: TrainingConfig): Promise<TrainingState | undefined> {
  const { resume_from_checkpoint: path } = config;
  if (path === "") return undefined;
  const isFolder = await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
  return decodeTraining(await readFile(isFolder ? `${path}/checkpoint.safetensors` : path, "checkpoint"), config);
}

/** Returns once the bytes are on the disk, not just with the system. */
async function writeFile(path: string, bytes: Uint8Array): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
  await file.syncData();
}

/** Bytes this process may still use, where the GPU is the CPU; Infinity for a real GPU, whose memory WebGPU does not tell. */
export function availableBytes(software: boolean): number {
  return software ? Deno.systemMemoryInfo().available : Infinity;
}
