import { formatBytes, totalBytes } from "../plan/ledger.ts";
import { countRuns, type MethodResult, type RunResult } from "../recipe/comparison/comparison_results.ts";
import type { Comparison } from "../recipe/comparison/settings.ts";

/** Shows the user the progress of a comparison. */
export interface ComparisonProgress {
  step(method: string, step: number, maxSteps: number): void;
  /** Shows a run that ended; it is the last of the results. */
  run(result: RunResult, results: readonly RunResult[]): void;
  end(path: string, description: string, methods: readonly MethodResult[]): void;
}

/** Progress as JSON: a line for each run, then the table as one object. */
export function jsonProgress(): ComparisonProgress {
  return {
    step() {},
    run: (result) => console.log(JSON.stringify({ run: result })),
    end: (path, _description, methods) =>
      console.log(JSON.stringify({ comparison: { path, methods: methods.map(withBytes) } })),
  };
}

const withBytes = ({ curves: _curves, ...row }: MethodResult) => ({
  ...row,
  state_bytes: row.planned_bytes.state,
  peak_bytes: totalBytes(row.planned_bytes),
});

/** Progress for people. `before` are the results of an earlier start. */
export function textProgress(comparison: Comparison, before: readonly RunResult[]): ComparisonProgress {
  if (before.length > 0) console.log(`going on after ${before.length} of ${countRuns(comparison, before)} runs`);
  const live = Deno.stderr.isTerminal();
  const status = (text: string): void =>
    void (live && Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`)));
  return {
    step: (method, step, maxSteps) => status(`${method}: step ${step}/${maxSteps}`),
    run(result, results) {
      status("");
      console.log(runLine(comparison, result, results));
    },
    end(path, description, methods) {
      console.log(
        `\n${description}\n\n${
          plainTable(methods)
        }\n\npicture      ${path}/comparison.svg\ntable        ${path}/results.md\nruns         ${path}/results.jsonl`,
      );
    },
  };
}

/** A line like "3/27 frugal seed 1 lr 0.003: validation 2.431, 41 s, about 12 min left". */
function runLine(
  comparison: Comparison,
  { method, entry, seed, learning_rate, eval_loss, problem, seconds }: RunResult,
  results: readonly RunResult[],
): string {
  const total = countRuns(comparison, results), left = total - results.length;
  const each = results.reduce((sum, result) => sum + result.seconds, 0) / results.length;
  const outcome = eval_loss === null ? `diverged (${problem})` : `validation ${eval_loss.toFixed(3)}`;
  return `${results.length}/${total} ${method} seed ${seed} ${entry || `lr ${learning_rate}`}: ${outcome}, ${
    duration(seconds)
  }${left > 0 ? `, about ${duration(left * each)} left` : ""}`;
}

function duration(seconds: number): string {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

const COLUMNS = ["method", "settings", "validation loss", "perplexity", "state", "peak", "tokens/s"];
/** Number of text columns; the others hold numbers and end at the right. */
const TEXT_COLUMNS = 2;

function cellsOf(
  { method, entry, learning_rate, ended, diverged, eval_loss, spread, perplexity, planned_bytes, tokens_per_second }:
    MethodResult,
): string[] {
  const loss = eval_loss === null
    ? "diverged"
    : `${eval_loss.toFixed(4)}${spread === null ? "" : ` ± ${spread.toFixed(4)}`}${
      diverged > 0 ? ` (${diverged} of ${ended + diverged} diverged)` : ""
    }`;
  return [
    method,
    entry || `lr ${learning_rate}`,
    loss,
    perplexity?.toFixed(2) ?? "",
    formatBytes(planned_bytes.state),
    formatBytes(totalBytes(planned_bytes)),
    tokens_per_second === null ? "" : Math.round(tokens_per_second).toLocaleString("en"),
  ];
}

function padded(rows: readonly (readonly string[])[]): string[][] {
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => [...row[column]!].length)));
  const pad = (cell: string, column: number): string => {
    const space = " ".repeat(widths[column]! - [...cell].length);
    return column < TEXT_COLUMNS ? cell + space : space + cell;
  };
  return rows.map((row) => row.map(pad));
}

const plainTable = (methods: readonly MethodResult[]): string =>
  padded([COLUMNS, ...methods.map(cellsOf)]).map((row) => row.join("  ").trimEnd()).join("\n");

/** The methods as a table of GitHub's Markdown. */
export function markdownTable(methods: readonly MethodResult[]): string {
  const rule = COLUMNS.map((_, column) => (column < TEXT_COLUMNS ? "---" : "--:"));
  const cells = methods.map(cellsOf).map((row) => row.map((cell) => cell.replaceAll("\n", " ").replaceAll("|", "\\|")));
  return padded([COLUMNS, rule, ...cells]).map((row) => `| ${row.join(" | ")} |`).join("\n");
}
