import { openFolder } from "../checkpoint/source/open_folder.deno.ts";
import { isFolder, openFile } from "../checkpoint/source/directory.deno.ts";
import type { ByteSource } from "../checkpoint/source/source.ts";
import { formatOf } from "../data/rows/read_rows.ts";
import { splitFiles } from "../data/rows/split.ts";
import { normalizeText } from "../data/text.ts";
import { ConfigError, type TrainingConfig } from "../recipe/config/config.ts";
import type { DatasetFiles } from "../recipe/data.ts";
import type { FineTuningSources } from "../recipe/fine_tuning.ts";
import { readFile } from "./files.ts";

/** The dataset of the settings: a text, files of rows, or undefined if none is named. */
export async function readDataset(
  { dataset }: Pick<TrainingConfig, "dataset">,
): Promise<string | DatasetFiles | undefined> {
  if (dataset === "") return undefined;
  if (await isFolder(dataset)) return await readDatasetFolder(dataset);
  if (formatOf(dataset) !== "text") return { train: [await openRows(dataset)], validation: [] };
  return await readText(dataset);
}

/** The dataset as a text, for models that are trained from nothing. */
export async function readTextDataset(config: Pick<TrainingConfig, "dataset">): Promise<string | undefined> {
  const dataset = await readDataset(config);
  if (dataset === undefined || typeof dataset === "string") return dataset;
  throw new ConfigError(
    `Cannot use dataset ${config.dataset}: a new model is trained on a text file. Give one, or a pretrained model ` +
      "as --model",
  );
}

async function readText(path: string): Promise<string> {
  try {
    return normalizeText(await readFile(path, "dataset"));
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`Cannot use dataset ${path}: ${(error as Error).message}`);
  }
}

async function readDatasetFolder(path: string): Promise<string | DatasetFiles> {
  const names: string[] = [];
  for await (const { name, isFile } of Deno.readDir(path)) if (isFile) names.push(name);
  const { train, validation, test } = splitFiles(names.sort());
  if (formatOf(train[0]!) === "text") {
    if (train.length + validation.length + test.length > 1) {
      throw new ConfigError(
        `Cannot use dataset ${path}: of texts one train.txt is read, whose end is held out, and there are ${
          [...train, ...validation, ...test].join(", ")
        }. Remove the others, or give rows`,
      );
    }
    return await readText(`${path}/${train[0]!}`);
  }
  const open = (files: readonly string[]) => Promise.all(files.map((name) => openRows(`${path}/${name}`)));
  return { train: await open(train), validation: await open(validation), test: await open(test) };
}

/** Opens everything that a fine-tuning reads from. */
export async function openFineTuning(config: TrainingConfig): Promise<FineTuningSources> {
  const dataset = await readDataset(config);
  if (dataset === undefined) {
    throw new ConfigError(
      "Cannot fine-tune without data: expected --dataset FILE, a text or rows (.jsonl, .json, .csv, .tsv, .parquet)",
    );
  }
  return { ...await openSources(config), dataset };
}

/** The folders of the model, its tokenizer and its adapter that the settings name. */
export async function openSources(
  { model, tokenizer, adapter, revision }: TrainingConfig,
): Promise<Omit<FineTuningSources, "dataset">> {
  const isKind = tokenizer === "bpe" || tokenizer === "byte";
  return {
    model: await openFolder(model, { revision }),
    ...(!isKind && { tokenizer: await openFolder(tokenizer) }),
    ...(adapter !== "" && { adapter: await openFolder(adapter) }),
  };
}

async function openRows(path: string): Promise<ByteSource> {
  const source = await openFile(path);
  if (source) return { ...source, name: path };
  throw new ConfigError(`Cannot use dataset ${path}: there is no such file`);
}
