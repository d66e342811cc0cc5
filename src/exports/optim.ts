/**
 * Optimizers: the grid of them, its presets, and what records their updates.
 *
 * @module
 */
export { createOptimizer, type CreateOptimizerOptions } from "../optim/create_optimizer.ts";
export {
  DEFAULT_SPEC,
  type Moments,
  type OptimizerSpec,
  type Projection,
  PROJECTION_TYPES,
  PROJECTIONS,
  type ProjectionType,
  type Split,
  SPLITS,
  STATE_FREE_RULES,
  type StateFreeRule,
  SWITCHES,
} from "../optim/optimizer_spec.ts";
export type { ModulePatterns } from "../optim/param_groups.ts";
export { Optimizer, type OptimizerStep } from "../optim/optimizer.ts";
export type { OptimizerSettings } from "../optim/plan_update.ts";
export { type OptimizerName, OPTIMIZERS, type Preset, PRESETS, resolveOptimizer } from "../optim/presets.ts";
export { recordUpdates, type UpdateOptions } from "../optim/record_updates.ts";
export { METRICS, metricsTensor, recordMetrics } from "../optim/step/metrics.ts";
export { RULE_NAMES, type RuleName, type RuleSettings } from "../optim/rule/rules.ts";
export type { UpdateInputs } from "../optim/rule/update.ts";
export { BLOCK_ORDERS, type BlockOrder } from "../optim/split/blocks.ts";
export {
  learningRateAt,
  type LearningRateSchedule,
  type LearningRateScheduleType,
  LR_SCHEDULER_TYPES,
  packSchedule,
  scheduleTensor,
  type StepNumbers,
} from "../optim/step/schedule.ts";
export type { Phase, SwitchingState } from "../optim/step/switching.ts";
