import { loadWeights } from "../checkpoint/model/load.ts";
import { loadAdapter, readAdapterConfig } from "../checkpoint/model/peft.ts";
import { openPretrained, type Pretrained } from "../checkpoint/model/pretrained.ts";
import type { Folder } from "../checkpoint/source/source.ts";
import { collectLabels } from "../data/examples/classification.ts";
import { IdTokenizer } from "../data/id_tokenizer.ts";
import { readFiles } from "../data/rows/read_rows.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import type { Json } from "../models/config_reader.ts";
import { classesOf, createModel } from "../models/model.ts";
import { ConfigError, type TrainingConfig } from "./config.ts";
import { type DatasetFiles, rowData, textData } from "./data.ts";
import type { BaseModel } from "./model.ts";
import type { Prepared } from "./run.ts";
import type { LoadWeights } from "./trainer.ts";

/** Where a fine-tuning reads from. */
export interface FineTuningSources {
  readonly model: Folder;
  /** Where the tokenizer is, if not beside the model. */
  readonly tokenizer?: Folder | undefined;
  /** An adapter to go on with. */
  readonly adapter?: Folder | undefined;
  /** A text, or files of rows. */
  readonly dataset: string | DatasetFiles;
}

/** A pretrained model that is ready to be planned and loaded. */
export interface FineTuning {
  /** With the adapter's settings, where there is one. */
  readonly config: TrainingConfig;
  readonly prepared: Prepared & { readonly base: BaseModel };
  readonly pretrained: Pretrained;
  readonly load: LoadWeights;
}

/**
 * Opens a model and its data; reads no weights yet.
 * @throws RangeError or ConfigError for what is missing or does not fit together.
 */
export async function prepareFineTuning(asked: TrainingConfig, sources: FineTuningSources): Promise<FineTuning> {
  const pretrained = await openPretrained(sources.model, sources.tokenizer);
  const config = await withAdapter(asked, sources.adapter);
  const json = await withClasses(pretrained, sources.dataset);
  const model = createModel(json), classes = classesOf(model);
  const tokenizer: Tokenizer = pretrained.tokenizer ?? new IdTokenizer(model.config.vocab_size);
  if (classes && typeof sources.dataset === "string") throw new ConfigError("Cannot use a text as \"dataset\" of a model that classifies: expected rows of {text, label}. Give a .jsonl, .csv or .parquet file");
  const data = typeof sources.dataset === "string" ? textData(config, tokenizer.encode(sources.dataset)) : await rowData(sources.dataset, { config, tokenizer, classes });
  const base = { json, storedAs: pretrained.storedAs, isNew: pretrained.isNew };
  return { config, prepared: { tokenizer, data, base }, pretrained, load: loaderOf(pretrained, sources.adapter) };
}

/** Writes a pretrained model's weights, and an adapter's over its initial ones. */
export function loaderOf({ weights }: Pick<Pretrained, "weights">, adapter: Folder | undefined, onBytes?: (done: number, total: number) => void): LoadWeights {
  return async (executor, model) => {
    const loaded = await loadWeights(executor, model, weights, onBytes);
    return adapter ? new Set([...loaded, ...await loadAdapter(executor, model, adapter)]) : loaded;
  };
}

/** An adapter's own settings decide its shape. */
async function withAdapter(config: TrainingConfig, adapter: Folder | undefined): Promise<TrainingConfig> {
  if (!adapter) return config;
  const { r, lora_alpha, lora_dropout, target_modules, modules_to_save, use_rslora } = await readAdapterConfig(adapter);
  const target = typeof target_modules === "string" ? target_modules : target_modules === null ? null : [...target_modules];
  return { ...config, peft: { peft_type: "LORA", bias: "none", r, lora_alpha, lora_dropout, target_modules: target, modules_to_save: [...modules_to_save], use_rslora } };
}

/** config.json with the classes of the data, where the head that tells them apart is new. */
async function withClasses({ json, isNew }: Pretrained, dataset: string | DatasetFiles): Promise<Json> {
  const isNewHead = [...isNew].some((name) => name.startsWith("classifier"));
  if (!isNewHead || typeof dataset === "string" || json["id2label"] !== undefined) return json;
  const labels = await collectLabels(readFiles(dataset.train));
  const { architectures: _, ...rest } = json;
  const architecture = json["model_type"] === "bert" ? "BertForSequenceClassification" : "RobertaForSequenceClassification";
  return { architectures: [architecture], ...rest, id2label: Object.fromEntries(labels.map((label, id) => [id, label])), label2id: Object.fromEntries(labels.map((label, id) => [label, id])) };
}
