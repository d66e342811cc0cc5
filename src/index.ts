/**
 * Scrimp for the common case: fine-tune a model, train one, load one; then evaluate it, let it write, and save it.
 * The pieces under these calls are in the other entries: scrimp/ops, /plan, /models, /optim, /data, /tokenizer,
 * /checkpoint, /train; what reads a disk is in scrimp/deno.
 *
 * @module
 */
export { type Dataset } from "./api/datasets.ts";
export { type InWorker, inWorker, type InWorkerOptions } from "./api/in_worker.ts";
export { loadModel, type LoadModelOptions } from "./api/loaded_model.ts";
export type { EvaluateOptions, EvaluationResult, GenerateOptions, TrainedModel, UsableModel } from "./api/model.ts";
export type { Optional, RunOptions, TrainingSettings } from "./api/settings.ts";
export { type ModelSource } from "./api/sources.ts";
export { fineTune, type FineTuneOptions, trainModel, type TrainModelOptions } from "./api/train.ts";
export { directoryHandle } from "./checkpoint/model/directory_handle.ts";
export type { FileContents, FolderFiles, WritableFolder } from "./checkpoint/model/save.ts";
export { HubUnreachableError } from "./checkpoint/source/hub_fetch.ts";
export type { ByteSource, Folder } from "./checkpoint/source/source.ts";
export type { ReadableBytes } from "./data/rows/row_source.ts";
export {
  type AdapterReport,
  DeviceLostError,
  type Gpu,
  type KernelTarget,
  type LimitName,
  NoAdapterError,
  openGpu,
  OutOfMemoryError,
} from "./gpu/device.ts";
export type { BytesByRole } from "./plan/ledger.ts";
export { ConfigError } from "./recipe/config/config.ts";
export type { OptimArgs, PeftConfig, SchedulerOptions, TrainingConfig } from "./recipe/config/training_config.ts";
export type { DatasetFiles } from "./recipe/data.ts";
export type { ResultKind } from "./recipe/results.ts";
export type { ClassificationMetrics } from "./train/classification_metrics.ts";
export { NonFiniteLossError, type Summary, type TrainEvent } from "./train/events.ts";
export type { StepCounts } from "./train/meter.ts";
export type { Evaluation } from "./train/session.ts";
