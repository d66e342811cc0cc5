import type { Split } from "../optim/optimizer_spec.ts";
import { resolveOptimizer } from "../optim/presets.ts";
import { formatBytes } from "../plan/ledger.ts";
import { ConfigError, parseByteSize, type TrainingConfig } from "./config/config.ts";
import { specChanges } from "./config/optim_args.ts";

/** Splits that a density makes larger or smaller. */
const HAS_DENSITY: ReadonlySet<Split> = new Set<Split>(["columns", "rows", "randk", "blocks", "low_rank"]);

/** Densities that are tried: multiples of 1/64. */
const STEPS = 64;

/**
 * The config with the largest density at which the bytes of the whole run, as `plan` gives them, stay within
 * `memory_budget`. Without a budget it stays as it is.
 * @throws ConfigError if nothing fits, or the optimizer has no density.
 */
export function withinBudget(config: TrainingConfig, plan: (config: TrainingConfig) => number): TrainingConfig {
  if (config.memory_budget === null) return config;
  const budget = parseByteSize(config.memory_budget)!;
  const { split, inactive_update_rule: rule } = resolveOptimizer(config.optim, specChanges(config.optim_args));
  if (!HAS_DENSITY.has(split)) {
    throw new ConfigError(
      `Cannot use "memory_budget" with optim "${config.optim}": it has no density to choose. Use frugal, galore, ` +
        "fira or another that splits matrices",
    );
  }
  const at = (density: number): TrainingConfig => ({
    ...config,
    optim_args: { ...config.optim_args, density, rank: null },
  });
  // These two scale the rest of a matrix by what its state-full part does, so there must be one.
  const smallest = rule === "fira" || rule === "apollo" ? 1 : 0;
  const least = plan(at(smallest / STEPS));
  if (least > budget) {
    throw new ConfigError(
      `Cannot train within "memory_budget" ${config.memory_budget}: with the smallest density the run takes ${
        formatBytes(least)
      }. Use a smaller batch, max_grad_norm 0, or a larger budget`,
    );
  }
  let low = smallest, high = STEPS;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (plan(at(middle / STEPS)) <= budget) low = middle;
    else high = middle - 1;
  }
  return at(low / STEPS);
}
