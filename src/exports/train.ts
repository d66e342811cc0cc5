/**
 * Training runs in pieces: settings, objectives, programs, trainers, the loop, step hooks, checkpoints of a run,
 * comparisons of methods, and their pictures.
 *
 * @module
 */
export { availableBytes } from "../api/device.ts";
export {
  describeComparison,
  type MethodResult,
  type PlannedRun,
  rankMethods,
  type RunResult,
} from "../recipe/comparison/comparison_results.ts";
export {
  prepareComparison,
  type PreparedComparison,
  type Ready,
  runComparison,
} from "../recipe/comparison/run_comparison.ts";
export {
  type Comparison,
  type Entry,
  type Method,
  nameComparison,
  parseComparison,
  type Settings,
} from "../recipe/comparison/settings.ts";
export {
  CONFIG_KEYS,
  ConfigError,
  type ConfigKey,
  nameSettings,
  parseByteSize,
  parseConfig,
} from "../recipe/config/config.ts";
export type { OptimArgs, PeftConfig, SchedulerOptions, TrainingConfig } from "../recipe/config/training_config.ts";
export { type DatasetFiles, rowData, type RowOptions, type RunData, textData, wholeData } from "../recipe/data.ts";
export { type FineTuning, type FineTuningSources, prepareFineTuning } from "../recipe/fine_tuning.ts";
export { type InferenceOptions, type Opened, openForEvaluation, openForGeneration } from "../recipe/inference.ts";
export type { BaseModel } from "../recipe/trained_model.ts";
export { resultFiles, type ResultKind, resultKinds } from "../recipe/results.ts";
export {
  checkRunFits,
  compareOptimizers,
  fitBudget,
  type OptimizerPlan,
  type Planned,
  planRun,
  type Prepared,
  type PreparedText,
  prepareRun,
  prepareText,
  type Run,
} from "../recipe/run.ts";
export {
  DamagedCheckpointError,
  encodeTraining,
  type OpenedTraining,
  openNewest,
  openTraining,
  type Resuming,
  type TrainingContext,
} from "../recipe/training_file.ts";
export { comparisonSvg } from "../report/comparison_chart.ts";
export type { ChartMethod } from "../report/loss_range.ts";
export { lossCurveSvg, type Point } from "../report/loss_curve.ts";
export type { ClassificationMetrics } from "../train/classification_metrics.ts";
export {
  type Control,
  controlBy,
  type Listener,
  NonFiniteLossError,
  type Summary,
  type TrainEvent,
} from "../train/events.ts";
export { type BatchInputs, BatchWriter, type InputValues, type SequenceInputs } from "../train/batch_inputs.ts";
export type { LoopSettings, TrainingData, TrainingJob } from "../train/job.ts";
export type { LayoutEntry, Remapping } from "../train/layout.ts";
export { type LoopOptions, train } from "../train/loop.ts";
export type { StepCounts } from "../train/meter.ts";
export {
  classification,
  type LossRecording,
  nextToken,
  type Objective,
  objectiveOf,
  type ObjectiveTensors,
  type Scores,
  type SequenceShape,
} from "../train/objective.ts";
export {
  type AnyBatch,
  type EvaluateProgram,
  type ForwardOptions,
  type GenerateProgram,
  type LossOptions,
  planPrograms,
  type PreparedProgram,
  type Programs,
  recordEvaluate,
  recordGenerate,
  recordTrain,
  type Tables,
  tablesOf,
  type TrainProgram,
  type TrainProgramOptions,
} from "../train/programs.ts";
export type { Resumed } from "../train/progress.ts";
export type { RecoveryOptions } from "../train/device_recovery.ts";
export { type SampleOptions, sampleText } from "../train/sample.ts";
export { type Evaluation, type LoadWeights, Session, type SessionOptions } from "../train/session.ts";
export type { StepHook } from "../train/step_hook.ts";
export { type StepMetrics, Trainer, type TrainingState } from "../train/trainer.ts";
