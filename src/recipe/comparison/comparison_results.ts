import type { ChartMethod } from "../../report/loss_range.ts";
import type { BytesByRole } from "../../plan/ledger.ts";
import type { Comparison, Entry, Method } from "./settings.ts";
import type { Point } from "../../report/svg.ts";

/** A run that a comparison asks for. */
export interface PlannedRun {
  /** The method that is run. */
  readonly method: Method;
  /** The settings of the run. */
  readonly entry: Entry;
  /** The start of all random numbers. */
  readonly seed: number;
}

/** The result of a run; a line of results.jsonl. */
export interface RunResult {
  /** The method's name. */
  readonly method: string;
  /** The label of the entry of the method's sweep. */
  readonly entry: string;
  /** The start of all random numbers. */
  readonly seed: number;
  /** The peak of the schedule. */
  readonly learning_rate: number;
  /** Loss of the trained model, in nats per token. Null: the run diverged. */
  readonly eval_loss: number | null;
  /** Why the run diverged. */
  readonly problem: string | null;
  /** The validation losses. */
  readonly curve: readonly Point[];
  /** Null if the run diverged before it was measured. */
  readonly tokens_per_second: number | null;
  /** Bytes that the plan gives each role. */
  readonly planned_bytes: BytesByRole;
  /** Number of values in the model. */
  readonly parameters: number;
  /** The adapter's name. */
  readonly adapter: string;
  /** From the start of the run to its end, compiling and evaluating included. */
  readonly seconds: number;
}

/** A method with its best settings: a row of the table. */
export interface MethodResult extends ChartMethod {
  /** exp(eval_loss) of the last evaluation, or null without one. */
  readonly perplexity: number | null;
  /** Training tokens a second, or null before two steps are timed. */
  readonly tokens_per_second: number | null;
}

/** The first run that is not among the results, or undefined when the comparison is done. */
export function nextRun(comparison: Comparison, results: readonly RunResult[]): PlannedRun | undefined {
  for (const method of comparison.methods) {
    const next = runsOf(comparison, method, results).find(({ entry, seed }) =>
      !results.some((result) => isOf(result, method, entry) && result.seed === seed)
    );
    if (next) return next;
  }
  return undefined;
}

/**
 * Counts the runs that the comparison has, as far as that is known: a method that diverges with all its settings gets
 * no other seeds.
 */
export const countRuns = (comparison: Comparison, results: readonly RunResult[]): number =>
  comparison.methods.reduce((sum, method) => sum + runsOf(comparison, method, results).length, 0);

/**
 * The runs of a method in their order. Those of the best entry come after its sweep and, until that is done, stand for
 * it.
 */
function runsOf({ seeds, replicates }: Comparison, method: Method, results: readonly RunResult[]): PlannedRun[] {
  const withSeeds = (entry: Entry, ofSeeds: readonly number[]): PlannedRun[] =>
    ofSeeds.map((seed) => ({ method, entry, seed }));
  if (replicates === "all") return method.sweep.flatMap((entry) => withSeeds(entry, seeds));
  const swept = results.filter(({ method: name, seed }) => name === method.name && seed === seeds[0]);
  const failed = swept.length === method.sweep.length && swept.every(({ eval_loss }) => eval_loss === null);
  const best = bestEntry(method, swept);
  return [
    ...method.sweep.flatMap((entry) => withSeeds(entry, seeds.slice(0, 1))),
    ...(failed ? [] : withSeeds(best, seeds.slice(1))),
  ];
}

/** The entry that the fewest runs diverged of, as a share, and of these the one with the lowest mean loss. */
function bestEntry(method: Method, results: readonly RunResult[]): Entry {
  const scored = method.sweep.map((entry) => {
    const runs = results.filter((result) => isOf(result, method, entry));
    const losses = finite(runs);
    return {
      entry,
      failed: runs.length === 0 ? 1 : 1 - losses.length / runs.length,
      loss: losses.length === 0 ? Infinity : mean(losses),
    };
  });
  return scored.reduce((best, other) => (other.failed - best.failed || other.loss - best.loss) < 0 ? other : best)
    .entry;
}

/**
 * The methods that have results, best first: by mean validation loss; those of which a run diverged come after those of
 * which none did, since the runs that are left would flatter them.
 */
export function rankMethods({ methods, replicates, seeds }: Comparison, results: readonly RunResult[]): MethodResult[] {
  const rows = methods.flatMap((method) => {
    const entry = bestEntry(method, replicates === "all" ? results : results.filter(({ seed }) => seed === seeds[0]));
    const runs = results.filter((result) => isOf(result, method, entry));
    return runs.length === 0 ? [] : [aggregate(runs)];
  });
  return rows.sort((a, b) =>
    Math.sign(a.diverged) - Math.sign(b.diverged) || Number(a.ended === 0) - Number(b.ended === 0) ||
    (a.eval_loss ?? 0) - (b.eval_loss ?? 0)
  );
}

function aggregate(runs: readonly RunResult[]): MethodResult {
  const { method, entry, learning_rate, planned_bytes } = runs[0]!;
  const losses = finite(runs), speeds = runs.flatMap(({ tokens_per_second }) => tokens_per_second ?? []);
  const eval_loss = losses.length === 0 ? null : mean(losses);
  const spread = losses.length < 2
    ? null
    : Math.sqrt(losses.reduce((sum, loss) => sum + (loss - eval_loss!) ** 2, 0) / (losses.length - 1));
  return {
    method,
    entry,
    learning_rate,
    ended: losses.length,
    diverged: runs.length - losses.length,
    eval_loss,
    spread,
    perplexity: eval_loss === null ? null : Math.exp(eval_loss),
    tokens_per_second: speeds.length === 0 ? null : mean(speeds),
    planned_bytes,
    curves: runs.filter((run) => run.eval_loss !== null || losses.length === 0).map(({ curve }) => curve),
  };
}

/** Describes in a line the facts that all runs share: data, model, tokens a step, steps, seeds. */
export function describeComparison(
  { base: { dataset, model }, methods, seeds }: Comparison,
  results: readonly RunResult[],
): string {
  const configs = methods.flatMap(({ sweep }) => sweep.map(({ config }) => config));
  const tokens = configs.map((config) =>
    config.gradient_accumulation_steps * config.per_device_train_batch_size * config.max_length
  );
  return [
    dataset.replace(/^.*[/\\]/, "") || "embedded stories",
    ...(results.length > 0
      ? [
        `${model.replace(/^.*[/\\]/, "") || "LLaMA"} of ${
          range(results.map(({ parameters }) => parameters))
        } parameters`,
      ]
      : []),
    `${range(tokens)} tokens a step`,
    `${range(configs.map(({ max_steps }) => max_steps))} steps`,
    seeds.length === 1 ? `seed ${seeds[0]}` : `${seeds.length} seeds`,
  ].join(" · ");
}

/** "800", or "400 to 800". */
function range(values: readonly number[]): string {
  const [low, high] = [Math.min(...values), Math.max(...values)].map((value) => value.toLocaleString("en"));
  return low === high ? low! : `${low} to ${high}`;
}

const isOf = (result: RunResult, method: Method, entry: Entry): boolean =>
  result.method === method.name && result.entry === entry.label;
const finite = (runs: readonly RunResult[]): number[] => runs.flatMap(({ eval_loss }) => eval_loss ?? []);
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
