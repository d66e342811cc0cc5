import { adapterFiles } from "../checkpoint/model/peft_adapter.ts";
import { encodeJson, type FolderFiles, modelFiles, tokenizerFiles } from "../checkpoint/model/save.ts";
import type { Json } from "../models/config_reader.ts";
import { classesOf } from "../models/model.ts";
import type { Executor } from "../plan/executor.ts";
import type { FineTuning } from "./fine_tuning.ts";
import { loraOf } from "./trained_model.ts";
import type { Run } from "./run.ts";

/** The kind of a result: a folder that PEFT opens, or one that transformers opens. */
export type ResultKind = "adapter" | "model";

/**
 * The results of a run, first the one that holds all it has trained: an adapter, or the model. ReLoRA's adapters are
 * only the last part of that.
 */
export function resultKinds({ config }: Pick<Run, "config">): readonly ResultKind[] {
  return loraOf(config) && config.relora_steps === 0 ? ["adapter", "model"] : ["model"];
}

/**
 * The files of a result, whose tensors are read from the device as they are written. The model of a LoRA run is the
 * merged one.
 */
export function resultFiles(
  kind: ResultKind,
  { config, model, tokenizer }: Pick<Run, "config" | "model" | "tokenizer">,
  executor: Executor,
  fineTuning?: Pick<FineTuning, "prepared" | "pretrained">,
): FolderFiles {
  const json: Json = fineTuning?.prepared.base.json ?? model.architecture.toJson?.(model.config) ?? {};
  if (kind === "model") {
    return modelFiles({ model, json, tokenizer, generation: fineTuning?.pretrained.generation ?? null }, executor);
  }
  const revision = config.revision === "main" ? null : config.revision;
  const adapter = adapterFiles({ model, config: loraOf(config)!, base: config.model, revision }, executor);
  // PEFT does not look for it; it knows the names of classes that the base may not have.
  const classes = classesOf(model) ? [["config.json", encodeJson(json)] as const] : [];
  return new Map([...adapter, ...classes, ...tokenizerFiles(tokenizer)]);
}
