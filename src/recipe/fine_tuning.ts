import { loadWeights } from "../checkpoint/model/load.ts";
import { loadAdapter, readAdapterConfig } from "../checkpoint/model/peft_adapter.ts";
import { identitiesOf, openPretrained, type Pretrained, readJsonFile } from "../checkpoint/model/pretrained.ts";
import type { Folder } from "../checkpoint/source/source.ts";
import { collectLabels } from "../data/examples/classification.ts";
import { IdTokenizer } from "../tokenizer/id_tokenizer.ts";
import { readFiles } from "../data/rows/read_rows.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Json } from "../models/config_reader.ts";
import type { Architecture } from "../models/architecture.ts";
import { classesOf, createModel } from "../models/model.ts";
import type { TrainingConfig } from "./config/config.ts";
import { checkRows, type DatasetFiles, rowData, textData } from "./data.ts";
import type { BaseModel } from "./trained_model.ts";
import type { Prepared } from "./run.ts";
import type { LoadWeights } from "../train/session.ts";

/** The folders and data that a fine-tuning reads. */
export interface FineTuningSources {
  /** The folder of the pretrained model. */
  readonly model: Folder;
  /** Families of models to choose from by model_type, those that are built in by default. */
  readonly architectures?: readonly Architecture[] | undefined;
  /** The folder of the tokenizer, if it is not beside the model. */
  readonly tokenizer?: Folder | undefined;
  /** An adapter to go on with. */
  readonly adapter?: Folder | undefined;
  /** A text, or files of rows. */
  readonly dataset: string | DatasetFiles;
}

/** A pretrained model that is ready to be planned and loaded. */
export interface FineTuning {
  /** The settings, including those of the adapter if there is one. */
  readonly config: TrainingConfig;
  /** The run, with the model that it starts from. */
  readonly prepared: Prepared & { readonly base: BaseModel };
  /** The opened folder. */
  readonly pretrained: Pretrained;
  /** Gives the weights; absent, they are drawn at random. */
  readonly load: LoadWeights;
}

/**
 * Opens a model and its data; reads no weights yet.
 * @throws RangeError or ConfigError for what is missing or does not fit together.
 */
export async function prepareFineTuning(requested: TrainingConfig, sources: FineTuningSources): Promise<FineTuning> {
  const opened = await openPretrained(sources.model, sources.tokenizer, sources.architectures);
  const pretrained = withAdapterFiles(opened, sources.adapter), { architecture } = pretrained;
  const config = await withAdapter(requested, sources.adapter);
  const json = await withClasses(
    await withClassesOf(sources.adapter, pretrained.json),
    pretrained,
    sources.dataset,
  );
  const model = createModel(json, { architecture }), classes = classesOf(model);
  const tokenizer: Tokenizer = pretrained.tokenizer ?? new IdTokenizer(model.config.vocab_size);
  checkRows(sources.dataset, classes);
  const data = typeof sources.dataset === "string"
    ? textData(config, tokenizer.encode(sources.dataset))
    : await rowData(sources.dataset, { config, tokenizer, classes });
  const base = { architecture, json, storedAs: pretrained.storedAs, isNew: pretrained.isNew };
  return { config, prepared: { tokenizer, data, base }, pretrained, load: loaderOf(pretrained, sources.adapter) };
}

/** A loader of a pretrained model's weights, and of an adapter's over its initial ones. */
export function loaderOf({ weights }: Pick<Pretrained, "weights">, adapter: Folder | undefined): LoadWeights {
  return async (executor, model, signal) => {
    const loaded = await loadWeights(executor, model, weights, signal);
    return adapter ? new Set([...loaded, ...await loadAdapter(executor, model, adapter)]) : loaded;
  };
}

/** Counts the adapter that a run begins with among the files that it depends on. */
function withAdapterFiles(pretrained: Pretrained, adapter: Folder | undefined): Pretrained {
  if (!adapter) return pretrained;
  return {
    ...pretrained,
    identity: async () => [
      ...await pretrained.identity(),
      ...await identitiesOf(adapter, ["adapter_config.json", "adapter_model.safetensors"]),
    ],
  };
}

/** An adapter's own settings decide its shape. */
export async function withAdapter(config: TrainingConfig, adapter: Folder | undefined): Promise<TrainingConfig> {
  if (!adapter) return config;
  const { r, lora_alpha, lora_dropout, target_modules, modules_to_save, use_rslora } = await readAdapterConfig(adapter);
  return {
    ...config,
    peft: {
      peft_type: "LORA",
      bias: "none",
      r,
      lora_alpha,
      lora_dropout,
      target_modules,
      modules_to_save,
      use_rslora,
    },
  };
}

/** config.json with the classes that an adapter was trained to tell apart, where it says so. */
export async function withClassesOf(adapter: Folder | undefined, json: Json): Promise<Json> {
  const { id2label, label2id } = (adapter && await readJsonFile(adapter, "config.json")) ?? {};
  return id2label === undefined ? json : { ...json, id2label, ...(label2id !== undefined && { label2id }) };
}

/** config.json with the classes of the data, where the head that tells them apart is new. */
async function withClasses(
  json: Json,
  { architecture, isNew }: Pretrained,
  dataset: string | DatasetFiles,
): Promise<Json> {
  if (isNew.size === 0 || typeof dataset === "string" || json["id2label"] !== undefined) return json;
  const { head } = createModel(json, { architecture });
  if (head.task !== "SEQ_CLS" || !isNew.has(`${head.layers.at(-1)!}.weight`)) return json;
  const labels = await collectLabels(readFiles(dataset.train));
  const { architectures: _, ...rest } = json;
  return {
    architectures: [head.class_name],
    ...rest,
    id2label: Object.fromEntries(labels.map((label, id) => [id, label])),
    label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
  };
}
