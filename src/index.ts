/** The public names of Scrimp. Everything here runs in a browser's Worker and in Deno alike. */
export { type AdapterReport, describeAdapter, DeviceLostError, type Gpu, NoAdapterError, openGpu, OutOfMemoryError, requestAdapter, type Variant, variantFor } from "./gpu/device.ts";
export { checkAgrees, defineKernel, type Kernel } from "./gpu/kernel.ts";
export { Executor } from "./plan/executor.ts";
export { bytesByRole, type BytesByRole, formatBytes, formatLedger, ledger, type LedgerRow, totalBytes } from "./plan/ledger.ts";
export { type MemoryPlan, planMemory } from "./plan/memory.ts";
export { type Program, Recorder, type Variable } from "./plan/recorder.ts";
export { type Role, ROLES, type Tensor, tensor } from "./plan/tensor.ts";
export { countParameters } from "./models/parameter.ts";
export { OPTIMIZERS, type OptimizerName, PRESETS } from "./optim/presets.ts";
export { ConfigError, parseConfig, type TrainingConfig } from "./train/config.ts";
export { type Control, NonFiniteLossError, type Summary, train, type TrainEvent } from "./train/loop.ts";
export { lossCurveSvg } from "./train/loss_curve.ts";
export { checkRunFits, compareOptimizers, planRun, prepareRun, type Run } from "./train/run.ts";
export { sampleText } from "./train/sample.ts";
export { Trainer } from "./train/trainer.ts";
export { normalizeText } from "./data/text.ts";
