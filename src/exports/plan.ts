/**
 * Record, plan, run: kernels are recorded as steps, a planner decides every byte of memory, an executor runs them.
 *
 * @module
 */
export {
  type AdapterReport,
  describeAdapter,
  DeviceLostError,
  type Gpu,
  type KernelTarget,
  type LimitName,
  LIMITS,
  NoAdapterError,
  openGpu,
  OutOfMemoryError,
  requestAdapter,
  targetFor,
} from "../gpu/device.ts";
export {
  type Access,
  type Bindings,
  type BoundKernel,
  defineKernel,
  type DispatchSize,
  type Kernel,
  type KernelDefinition,
  type Params,
  type Scalar,
  type Values,
} from "../gpu/kernel.ts";
export type { BindingType, StoredTypes } from "../gpu/declarations.ts";
export type { Format } from "../gpu/formats/index.ts";
export type { Constants } from "../gpu/preprocess.ts";
export type { Counters } from "../plan/counters.ts";
export { Executor } from "../plan/executor.ts";
export {
  type BytesByRole,
  bytesByRole,
  checkFits,
  formatBytes,
  formatLedger,
  ledger,
  type LedgerRow,
  totalBytes,
} from "../plan/ledger.ts";
export { formatProgram } from "../plan/format_program.ts";
export { type BufferPlan, type Location, type MemoryPlan, planMemory } from "../plan/memory.ts";
export type { Data } from "../plan/pieces.ts";
export {
  type Family,
  type GradientTarget,
  type Operands,
  type Program,
  Recorder,
  type RecorderOptions,
  type Step,
} from "../plan/recorder.ts";
export { type ElementType, type Role, ROLES, type Tensor, tensor } from "../plan/tensor.ts";
export type { ParameterKind, TrainableVariable, Variable } from "../plan/variable.ts";
