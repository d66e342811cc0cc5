import type { BytesByRole } from "../plan/ledger.ts";
import type { Point } from "./svg.ts";

/** The result of one method of a comparison: a row of the picture. */
export interface ChartMethod {
  /** The method's name. */
  readonly method: string;
  /** The label of the best entry. */
  readonly entry: string;
  /** The learning rate of the row. */
  readonly learning_rate: number;
  /** Runs of the best entry that ended. */
  readonly ended: number;
  /** Runs of the best entry that diverged. */
  readonly diverged: number;
  /** Mean over the runs that ended. Null if none did. */
  readonly eval_loss: number | null;
  /** Standard deviation over the same runs (n - 1). Null if there are fewer than two. */
  readonly spread: number | null;
  /** Bytes that the plan gives each role. */
  readonly planned_bytes: BytesByRole;
  /** Validation losses of the runs that ended, or of all if none did. */
  readonly curves: readonly (readonly Point[])[];
}

/** The losses that are drawn: `cut` is true if some lie above `high`, and `off` are the methods that end there. */
export interface LossRange {
  readonly low: number;
  readonly high: number;
  readonly cut: boolean;
  readonly off: ReadonlySet<ChartMethod>;
}

/**
 * The range from the lowest loss to above the methods that count: those before a gap that would leave them less than a
 * fifth of the picture. The curves' way down to there is drawn as far as the ends stay apart.
 */
export function lossRange(methods: readonly ChartMethod[]): LossRange {
  const ended = methods.filter(({ eval_loss }) => eval_loss !== null).sort((a, b) => a.eval_loss! - b.eval_loss!);
  const losses = ended.map(({ eval_loss }) => eval_loss!);
  const least = Math.max(2, Math.ceil(losses.length / 2)), best = losses[0] ?? 0;
  const gap = losses.findIndex((loss, i) => i >= least && losses[i - 1]! - best < (loss - best) / 5);
  const kept = gap < 0 ? ended : ended.slice(0, gap);
  const points = finitePoints(kept.length > 0 ? kept : methods).map(({ loss }) => loss).concat(
    losses.slice(0, kept.length),
  );
  if (points.length === 0) return { low: 0, high: 1, cut: false, off: new Set() };
  const low = lowestOf(points), highest = points.reduce((a, b) => Math.max(a, b));
  const worst = losses[kept.length - 1] ?? highest;
  const wanted = Math.min(highest, Math.max(best + 2.2 * (worst - best), low + 0.3 * (highest - low)));
  const margin = 0.04 * (wanted - low) || 0.05 * Math.abs(low) || 0.5;
  const high = wanted + margin;
  return {
    low: low - margin,
    high,
    cut: finitePoints(methods).some(({ loss }) => loss > high),
    off: new Set(ended.filter(({ eval_loss }) => eval_loss! > high)),
  };
}

const lowestOf = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b));
const finitePoints = (methods: readonly ChartMethod[]): Point[] =>
  methods.flatMap(({ curves }) => curves.flat()).filter(({ loss }) => Number.isFinite(loss));
