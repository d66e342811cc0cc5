import { readDataset } from "../api/read_dataset.deno.ts";
import { openFolder } from "../checkpoint/source/open_folder.deno.ts";
import { ConfigError, type TrainingConfig } from "../recipe/config/config.ts";
import type { DatasetFiles } from "../recipe/data.ts";
import type { FineTuningSources } from "../recipe/fine_tuning.ts";

/** The dataset of the settings: a text, files of rows, or undefined where none is named. */
export const readNamedDataset = async (
  { dataset }: Pick<TrainingConfig, "dataset">,
): Promise<string | DatasetFiles | undefined> => (dataset === "" ? undefined : await readDataset(dataset));

/** The dataset as a text, for models that are trained from nothing. */
export async function readTextDataset(config: Pick<TrainingConfig, "dataset">): Promise<string | undefined> {
  const dataset = await readNamedDataset(config);
  if (dataset === undefined || typeof dataset === "string") return dataset;
  throw new ConfigError(
    `Cannot use dataset ${config.dataset}: a new model is trained on a text file. Give one, or a pretrained model ` +
      "as --model",
  );
}

/** Everything that a fine-tuning reads from. */
export async function openFineTuning(config: TrainingConfig): Promise<FineTuningSources> {
  const dataset = await readNamedDataset(config);
  if (dataset === undefined) {
    throw new ConfigError(
      "Cannot fine-tune without data: expected --dataset FILE, a text or rows (.jsonl, .json, .csv, .tsv, .parquet)",
    );
  }
  return { ...await resolveSources(config), dataset };
}

/** The folders of the model, its tokenizer and its adapter that the settings name. */
export async function resolveSources(
  { model, tokenizer, adapter, revision }: TrainingConfig,
): Promise<Omit<FineTuningSources, "dataset">> {
  const isKind = tokenizer === "bpe" || tokenizer === "byte";
  return {
    model: await openFolder(model, { revision }),
    ...(!isKind && { tokenizer: await openFolder(tokenizer) }),
    ...(adapter !== "" && { adapter: await openFolder(adapter) }),
  };
}
