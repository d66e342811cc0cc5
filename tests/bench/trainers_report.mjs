// Scrimp beside jax-js, as Markdown.

import { median, round, table, title } from "./markdown.mjs";

const range = (values) =>
  values.length ? `${round(Math.min(...values))} / **${round(median(values))}** / ${round(Math.max(...values))}` : "–";
const mebibytes = (bytes) => (bytes === undefined ? "–" : round(bytes / 2 ** 20));

function row({ runtime, work }, outcome, ratio) {
  const cells = outcome.error
    ? [`absent: ${outcome.error.split("\n")[0].replaceAll("|", "\\|")}`, "", "", "", "", "", ""]
    : [
      range(outcome.milliseconds),
      range(outcome.eachStep),
      ratio,
      round(outcome.start, 0),
      round(outcome.perStep?.dispatches, 0),
      round(outcome.perStep?.submits, 0),
      mebibytes(outcome.peakBytes),
    ];
  return [title(runtime), work, outcome.name, ...cells];
}

/** The median of the better way of waiting. Some libraries are slower when steps are queued, some when they are not. */
const best = ({ milliseconds, eachStep }) => Math.min(median(milliseconds), median(eachStep));

/** Lines below the table: whether both trained the same thing, and what a contestant says of itself. */
function remarks({ runtime, work, reference, outcomes }) {
  const lines = [];
  const done = outcomes.filter(({ error, losses }) => error === undefined && losses.length);
  const parts = done.map(({ name, losses }) => `${name} ${losses[0].toFixed(5)} → ${losses.at(-1).toFixed(5)}`);
  if (done.length === 2) {
    const [a, b] = done;
    const apart = Math.max(...a.losses.map((loss, i) => Math.abs(loss - b.losses[i])));
    parts.push(`${apart.toExponential(1)} apart at most`);
  }
  if (parts.length) {
    lines.push(`- ${title(runtime)}, ${work}: step 1 in f64 ${round(reference, 5)}; losses ${parts.join(", ")}.`);
  }
  for (const { name, counters } of done) {
    if (counters) {
      lines.push(`  ${name}: ${Object.entries(counters).map(([key, value]) => `${key} ${value}`).join(", ")}.`);
    }
  }
  return lines;
}

const HEAD = [
  "runtime",
  "work",
  "trainer",
  "few waits, ms a step",
  "wait for each, ms a step",
  "ratio",
  "start, ms",
  "dispatches a step",
  "submits a step",
  "memory, MiB",
];

/** The whole report: where it ran, the table, the remarks. */
export function markdown(machine, peer, results) {
  const rows = results.flatMap((result) => {
    const scrimp = result.outcomes.find(({ name }) => name === "scrimp");
    return result.outcomes.map((outcome) => {
      const comparable = [scrimp, outcome].every(({ error, eachStep }) => error === undefined && eachStep.length);
      return row(result, outcome, comparable ? round(best(outcome) / best(scrimp), 2) : "–");
    });
  });
  return [
    `${machine}. Peer: ${peer}. Times are ms per step, min / **median** / max over alternating blocks, each with two ` +
    "steps of warm-up: waiting for the GPU once in a few steps, or for each step. Ratio: the trainer's better median " +
    "by Scrimp's. Start: the first three steps, with compiling. Memory: the most bytes of GPU buffers alive at once.",
    "",
    ...results.map(({ runtime, work, adapter, steps, stepsPerWait, rounds }) =>
      `- ${title(runtime)}, ${work}: ${adapter}; ${rounds} blocks of ${steps} steps, a wait every ${stepsPerWait}.`
    ),
    "",
    ...table(HEAD, rows),
    "",
    ...results.flatMap(remarks),
  ].join("\n");
}
