/**
 * The public names of Scrimp. Everything here runs in a browser's Worker and in Deno alike, except the stores in the
 * browser's own storage.
 */
export {
  type AdapterReport,
  describeAdapter,
  DeviceLostError,
  type Gpu,
  NoAdapterError,
  openGpu,
  OutOfMemoryError,
  requestAdapter,
  type Variant,
  variantFor,
} from "./gpu/device.ts";
export { checkAgrees, defineKernel, type Kernel } from "./gpu/kernel.ts";
export { Executor } from "./plan/executor.ts";
export {
  type BytesByRole,
  bytesByRole,
  formatBytes,
  formatLedger,
  ledger,
  type LedgerRow,
  totalBytes,
} from "./plan/ledger.ts";
export { type MemoryPlan, planMemory } from "./plan/memory.ts";
export { type Program, Recorder, type Variable } from "./plan/recorder.ts";
export { type Role, ROLES, type Tensor, tensor } from "./plan/tensor.ts";
export { countParameters } from "./models/parameter.ts";
export { GRID, type Grid } from "./optim/grid.ts";
export { Optimizer } from "./optim/optimizer.ts";
export { gridOf, type OptimizerName, OPTIMIZERS, PRESETS } from "./optim/presets.ts";
export { describeComparison, type MethodResult, rankMethods, type RunResult } from "./recipe/comparison/compare.ts";
export { openPretrained, type Pretrained } from "./checkpoint/model/pretrained.ts";
export type { Contents, Files } from "./checkpoint/model/save.ts";
export { blobSource, filesFolder } from "./checkpoint/source/blob.ts";
export { hubFolder, isRepository } from "./checkpoint/source/hub.ts";
export { browserCache } from "./checkpoint/source/hub_cache_browser.ts";
export type { ByteSource, Folder } from "./checkpoint/source/source.ts";
export { openBrowserStore } from "./checkpoint/store/browser.ts";
export { type CheckpointStore, RunInUseError, StorageFullError } from "./checkpoint/store/store.ts";
export { type Comparison, nameComparison, parseComparison } from "./recipe/comparison/settings.ts";
export { comparisonSvg } from "./report/comparison_chart.ts";
export { ConfigError, parseConfig, type TrainingConfig } from "./recipe/config/config.ts";
export type { DatasetFiles } from "./recipe/data.ts";
export { type Control, NonFiniteLossError, type Summary, type TrainEvent } from "./train/events.ts";
export { type FineTuning, prepareFineTuning } from "./recipe/fine_tuning.ts";
export { train } from "./train/loop.ts";
export { lossCurveSvg } from "./report/loss_curve.ts";
export { resultFiles, type ResultKind, resultKinds } from "./recipe/results.ts";
export { checkRunFits, compareOptimizers, fitBudget, planRun, prepareRun, type Run } from "./recipe/run.ts";
export { prepareComparison, runComparison } from "./recipe/comparison/run_comparison.ts";
export { sampleText } from "./train/sample.ts";
export type { LoadWeights } from "./train/session.ts";
export { Trainer, type TrainingState } from "./train/trainer.ts";
export { encodeTraining, type OpenedTraining, openTraining, type TrainingContext } from "./recipe/training_file.ts";
export { generateStories } from "./data/corpus.ts";
export { formatOf, readFiles } from "./data/rows/read_rows.ts";
export { normalizeText } from "./data/text.ts";
