// Scrimp beside jax-js and PyTorch, as Markdown.

import { median, round, table, title } from "./markdown.mjs";

const range = (values) =>
  values.length ? `${round(Math.min(...values))} / **${round(median(values))}** / ${round(Math.max(...values))}` : "–";
const mebibytes = (bytes) => (bytes === undefined ? "–" : round(bytes / 2 ** 20));

/** Losses so far from Scrimp's do not come from single precision, which leaves them some 1e-6 apart. */
const LOSS_TOLERANCE = 2e-5;

function row({ runtime, work, outcomes }, outcome) {
  const cells = outcome.error
    ? [`absent: ${outcome.error.split("\n")[0].replaceAll("|", "\\|")}`, "", "", "", "", "", "", ""]
    : [
      range(outcome.milliseconds),
      range(outcome.eachStep),
      ratio(outcomes, outcome, "scrimp"),
      ratio(outcomes, outcome, "pytorch"),
      round(outcome.start, 0),
      round(outcome.perStep?.dispatches, 0),
      round(outcome.perStep?.submits, 0),
      mebibytes(outcome.peakBytes),
    ];
  return [title(runtime), work, outcome.name, ...cells];
}

/** The median of the better way of waiting. Some libraries are slower when steps are queued, some when they are not. */
const best = ({ milliseconds, eachStep }) => Math.min(median(milliseconds), median(eachStep));

/** The trainer's time by that of the trainer of this name, if both were timed. */
function ratio(outcomes, outcome, name) {
  const one = outcomes.find((other) => other.name === name);
  const timed = [one, outcome].every(({ error, eachStep }) => error === undefined && eachStep.length);
  return timed ? round(best(outcome) / best(one), 2) : "–";
}

const finished = (outcomes) => outcomes.filter(({ error, losses }) => error === undefined && losses.length);

/** By name, how far the losses of each other trainer are from Scrimp's. */
function differences(outcomes) {
  const [first, ...others] = finished(outcomes);
  if (first?.name !== "scrimp") return [];
  const apart = (losses) => Math.max(...losses.map((loss, i) => Math.abs(loss - first.losses[i])));
  return others.map(({ name, losses }) => [name, apart(losses)]);
}

/** A trainer that has trained something else, or nothing: then its time says nothing. */
export const problems = ({ outcomes }) =>
  differences(outcomes).filter(([, apart]) => !(apart <= LOSS_TOLERANCE)).map(([name, apart]) =>
    `the losses of ${name} are up to ${apart.toExponential(1)} from Scrimp's, above ${LOSS_TOLERANCE}`
  );

/** Lines below the table: whether all trained the same thing, and what a contestant says of itself. */
function remarks({ runtime, work, reference, outcomes }) {
  const lines = [];
  const done = finished(outcomes);
  const parts = done.map(({ name, losses }) => `${name} ${losses[0].toFixed(5)} → ${losses.at(-1).toFixed(5)}`);
  const apart = differences(outcomes).map(([name, apart]) => `${name} ${apart.toExponential(1)}`);
  if (apart.length) parts.push(`apart from scrimp's at most: ${apart.join(", ")}`);
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
  "Scrimp = 1",
  "PyTorch = 1",
  "start, ms",
  "dispatches a step",
  "submits a step",
  "memory, MiB",
];

/** The whole report: where it ran, the table, the remarks. */
export function markdown(machine, peer, results) {
  const rows = results.flatMap((result) => result.outcomes.map((outcome) => row(result, outcome)));
  const pytorch = results.find(({ pytorch }) => pytorch)?.pytorch;
  const peers = pytorch ? `${peer}, PyTorch ${pytorch.version} on the processor` : peer;
  return [
    `${machine}. Peers: ${peers}. Times are ms per step, min / **median** / max over alternating blocks, each with ` +
    "two steps of warm-up: waiting for the GPU once in a few steps, or for each step. Ratios: the trainer's better " +
    "median by Scrimp's, and by PyTorch's. Start: the first three steps, with compiling, and with starting Python. " +
    "Memory: the most bytes of GPU buffers alive at once.",
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
