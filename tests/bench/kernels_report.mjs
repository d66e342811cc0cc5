// Each kernel of a training step beside the adapter's peaks, as Markdown.

import { round, table, title } from "./markdown.mjs";

const percent = (
  part,
  whole,
) => (part === undefined ? "–" : `${round((100 * part) / whole, part / whole < 0.0995 ? 1 : 0)} %`);
/** Three digits, as more would be noise. */
const short = (
  value,
) => (value === undefined ? "–" : value >= 100 ? round(value, 0) : value >= 10 ? round(value, 1) : round(value, 2));

const HEAD = [
  "kernel",
  "sizes",
  "the first writes",
  "times a step",
  "µs each",
  "ms a step",
  "GFLOP/s",
  "of peak",
  "GB/s",
  "of copy",
];

export function markdown(machine, _peer, results) {
  return [`${machine}.`, "", ...results.flatMap((result) => [...section(result), ""])].join("\n").trimEnd();
}

function section(
  { runtime, work, adapter, variant, clock, rounds, peaks, stepMilliseconds, medianStepMilliseconds, dispatches, rows },
) {
  const total = rows.reduce((sum, { countPerStep, microseconds }) => sum + (countPerStep * microseconds) / 1000, 0);
  const operations = rows.reduce((sum, { countPerStep, operations = 0 }) => sum + countPerStep * operations, 0);
  const gflops = operations / stepMilliseconds / 1e6;
  const cells = rows.toSorted((a, b) => b.countPerStep * b.microseconds - a.countPerStep * a.microseconds).map(
    (row) => {
      const rate = row.operations === undefined ? undefined : row.operations / row.microseconds / 1e3;
      const bandwidth = row.bytes / row.microseconds / 1e3;
      return [
        row.kernel,
        row.sizes,
        row.writes.replace("model.", ""),
        row.countPerStep,
        short(row.microseconds),
        short((row.countPerStep * row.microseconds) / 1000),
        short(rate),
        percent(rate, peaks.gflops),
        short(bandwidth),
        percent(bandwidth, peaks.gigabytesPerSecond),
      ];
    },
  );
  return [
    `**${title(runtime)}, work ${work}**: ${adapter}, variant ${variant}; clock: ${clock}, the ${
      clock === "waits" ? "median" : "minimum"
    } of ${rounds} rounds. ` +
    `Peaks: ${short(peaks.gflops)} GFLOP/s (${peaks.fastest}), ${
      short(peaks.gigabytesPerSecond)
    } GB/s (copy of 128 MiB, read and written). ` +
    `A whole step of ${dispatches} dispatches in one pass: ${short(stepMilliseconds)} ms (median ${
      short(medianStepMilliseconds)
    }); ` +
    `the rows add up to ${short(total)} ms. In all ${short(operations / 1e9)} GFLOP a step: ${short(gflops)} GFLOP/s, ${
      percent(gflops, peaks.gflops)
    } of the peak.`,
    "",
    ...table(HEAD, cells),
  ];
}
