import { isFolder, openFile } from "../checkpoint/source/directory.deno.ts";
import { formatOf } from "../data/rows/read_rows.ts";
import type { ReadableBytes } from "../data/rows/row_source.ts";
import { normalizeText } from "../data/text.ts";
import { ConfigError } from "../recipe/config/config.ts";
import type { DatasetFiles } from "../recipe/data.ts";
import { datasetOf } from "./datasets.ts";

/**
 * Opens the dataset of a path: a text, a file of rows, or a folder of files that are named after their split.
 * @throws ConfigError or RangeError if it is none of these.
 */
export async function readDataset(path: string): Promise<string | DatasetFiles> {
  if (await isFolder(path)) return await readFolder(path);
  if (formatOf(path) !== "text") return { train: [await openRows(path)], validation: [] };
  return await readText(path);
}

async function readText(path: string): Promise<string> {
  try {
    return normalizeText(await readFile(path, "dataset"));
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`Cannot use dataset ${path}: ${(error as Error).message}`);
  }
}

async function readFolder(path: string): Promise<string | DatasetFiles> {
  const names: string[] = [];
  for await (const { name, isFile } of Deno.readDir(path)) if (isFile) names.push(name);
  return await datasetOf(path, names, (name) => openRows(`${path}/${name}`), (name) => readText(`${path}/${name}`));
}

async function openRows(path: string): Promise<ReadableBytes> {
  const source = await openFile(path);
  if (source) return { ...source, name: path };
  throw new ConfigError(`Cannot use dataset ${path}: there is no such file`);
}

/** The bytes of a file. @throws ConfigError that says what the file is for. */
export async function readFile(path: string, what: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    // Some never end.
    if ((await Deno.stat(path)).isCharDevice) throw new Error("it is a device, not a file");
    return await Deno.readFile(path);
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound ? "there is no such file" : (error as Error).message;
    throw new ConfigError(`Cannot read ${what} ${path}: ${reason}. Check the path, it is relative to ${Deno.cwd()}`);
  }
}
