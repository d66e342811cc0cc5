// Model folders in memory, and small models on the device that are saved to them and loaded from them.

import { type FolderFiles, modelFiles, type ModelToSave } from "../../../src/checkpoint/model/save.ts";
import { encodeSafetensors, type TensorData } from "../../../src/checkpoint/safetensors/writer.ts";
import { filesFolder } from "../../../src/checkpoint/source/blob.ts";
import type { Folder } from "../../../src/checkpoint/source/source.ts";
import type { Json } from "../../../src/models/config_reader.ts";
import type { Model } from "../../../src/models/architecture.ts";
import { type EvaluateProgram, planPrograms, recordEvaluate, tablesOf } from "../../../src/train/programs.ts";
import { type Evaluation, type LoadWeights, Session } from "../../../src/train/session.ts";
import type { Floats } from "../../ops/run_recorded.ts";
import { randomValues } from "../../models/small_models.ts";
import { testGpu } from "../../test_gpu.ts";

const T = 6;

/** A model on the device whose only program is its evaluation. */
export async function openModel(model: Model, load: LoadWeights): Promise<OpenedModel> {
  const gpu = await testGpu();
  const evaluate = recordEvaluate({ target: gpu.target, model, tables: tablesOf(model, T), B: 1, T });
  const session = await Session.open(gpu, model, [evaluate], planPrograms({ evaluate }), { load });
  return { session, evaluate, executor: session.executor, destroy: () => session.destroy() };
}

export interface OpenedModel extends Pick<Session, "executor" | "destroy"> {
  readonly session: Session;
  readonly evaluate: EvaluateProgram;
}

/** With these numbers in its parameters. */
export const withValues = (values: ReadonlyMap<string, Floats>): LoadWeights => (executor, model) => {
  for (const { value } of model.parameters) executor.write(value, values.get(value.label)!);
  return Promise.resolve(new Set(model.parameters));
};

/** The logits of a model for a sequence. */
export const judge = ({ session, evaluate }: OpenedModel, classifies = false): Promise<Evaluation> =>
  session.evaluate(evaluate, [{
    input_ids: Uint32Array.of(5, 31, 7, 0, 12, 9),
    labels: classifies ? Uint32Array.of(1) : Uint32Array.of(31, 7, 0, 12, 9, 3),
  }]);

export interface SavedFolder {
  readonly folder: Folder;
  readonly files: ReadonlyMap<string, Blob>;
}

export async function collect(files: FolderFiles, name = "made"): Promise<SavedFolder> {
  const blobs = new Map<string, Blob>();
  for (const [path, contents] of files) {
    blobs.set(path, new Blob(contents instanceof Uint8Array ? [contents] : await Array.fromAsync(contents)));
  }
  return { folder: filesFolder(name, blobs), files: blobs };
}

/** The folder that a model on the device is saved to. */
export const saveModel = (
  trainer: Pick<Session, "executor">,
  saved: Partial<ModelToSave> & Pick<ModelToSave, "model" | "json">,
): Promise<SavedFolder> => collect(modelFiles({ tokenizer: null, generation: null, ...saved }, trainer.executor));

export const json = (value: unknown): Uint8Array<ArrayBuffer> => new TextEncoder().encode(JSON.stringify(value));

interface FolderOptions {
  readonly tensors?: readonly TensorData[];
  /** Files that are there too, or in the place of the model's own; null: not there. */
  readonly files?: Readonly<Record<string, Uint8Array<ArrayBuffer> | null>>;
}

/** A folder of a model's config.json and these tensors, its own by default, made without the device. */
export function folderOf(
  model: Model,
  config: Json,
  { tensors = tensorsOf(model), files = {} }: FolderOptions = {},
): Folder {
  const all = new Map<string, Blob>([["config.json", new Blob([json(config)])], [
    "model.safetensors",
    new Blob([encodeSafetensors(tensors)]),
  ]]);
  for (const [name, bytes] of Object.entries(files)) {
    if (bytes) all.set(name, new Blob([bytes]));
    else all.delete(name);
  }
  return filesFolder("given", all);
}

export function tensorsOf(model: Model): TensorData[] {
  const values = randomValues(model, 1);
  return model.parameters.map(({ value: { label, shape } }) => ({
    name: label,
    dtype: "F32",
    shape,
    data: values.get(label)!,
  }));
}
