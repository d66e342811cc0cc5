// The cost of optimizers, beside AdamW, as Markdown.

import { median, round, table, title } from "./markdown.mjs";

/** Three digits, as more would be noise. */
const short = (value) => (value >= 100 ? round(value, 0) : value >= 10 ? round(value, 1) : round(value, 2));
const range = (values, text = short) =>
  `${text(Math.min(...values))} / **${text(median(values))}** / ${text(Math.max(...values))}`;
/** Round by round, so that what else the machine did then falls on both. */
const ratios = (times, base) => times.map((time, i) => time / base[i]);
const ratio = (value) => round(value, 2);

const medians = ({ blocks }) => blocks.map(median);
/** How far AdamW is from itself, in the half of the rounds that is nearer. */
const noiseOf = ({ updates: { rows } }) =>
  median(ratios(rows.at(-1).milliseconds, rows[0].milliseconds).map((value) => Math.abs(value - 1)));

/** Targets that were missed. */
export function problems(result) {
  if (result.measurement === "refresh") return refreshProblems(result);
  const [adamw, ...others] = result.updates.rows, noise = noiseOf(result);
  return others.slice(0, -1).flatMap(({ optimizer, milliseconds }) => {
    const value = median(ratios(milliseconds, adamw.milliseconds));
    return value > 1 + noise
      ? [
        `an update by ${optimizer} takes ${round(value, 3)} times as long as one by adamw, allowed is 1 and ${
          round(noise, 3)
        } for noise`,
      ]
      : [];
  });
}

function refreshProblems({ step, ...times }) {
  if (step.skipped) return [];
  return ["warm", "cold"].flatMap((name) => {
    const milliseconds = median(times[name]);
    return milliseconds >= step.milliseconds
      ? [
        `a ${name} refresh takes ${short(milliseconds)} ms, a training step ${
          short(step.milliseconds)
        } ms: expected less`,
      ]
      : [];
  });
}

export function markdown(machine, _peer, results) {
  const works = results.filter(({ measurement }) => measurement === "optimizers"),
    refreshes = results.filter(({ measurement }) => measurement === "refresh");
  return [
    `${machine}.`,
    "",
    ...works.flatMap((result) => [...stepsSection(result), "", ...updatesSection(result), ""]),
    ...(refreshes.length > 0 ? refreshSection(refreshes) : []),
  ].join("\n").trimEnd();
}

const STEP_HEAD = [
  "optimizer",
  "ms a step",
  "to AdamW's",
  "dispatches",
  "step with a refresh, ms",
  "to AdamW's",
  "difference, ms",
];

function stepsSection({ runtime, work, adapter, steps, rounds, stepsPerWait, training: rows }) {
  const base = medians(rows[0]);
  const plain = rows.filter(({ refreshes, optimizer }) =>
    !refreshes || !rows.some((other) => other.optimizer === optimizer && !other.refreshes)
  );
  const cells = plain.map((row, i) => {
    const refresh = rows.find((other) => other !== row && other.optimizer === row.optimizer && other.refreshes);
    const own = row.blocks.flat(), others = refresh?.blocks.flat();
    return [
      i > 0 && row.optimizer === rows[0].optimizer ? `${row.optimizer} again` : row.optimizer,
      range(own),
      range(ratios(medians(row), base), ratio),
      round(row.dispatches, 0),
      ...(refresh
        ? [range(others), range(ratios(medians(refresh), base), ratio), short(median(others) - median(own))]
        : ["–", "–", "–"]),
    ];
  });
  return [
    `**${
      title(runtime)
    }, work ${work}, whole steps**: ${adapter}; ${rounds} blocks of ${steps} steps, a wait every ${stepsPerWait}.`,
    "",
    ...table(STEP_HEAD, cells),
  ];
}

const UPDATE_HEAD = ["optimizer", "ms an update", "to AdamW's", "ns a parameter", "MB moved", "GB/s", "dispatches"];

function updatesSection(result) {
  const { runtime, work, updates: { clock, parameters, repeats, rows } } = result;
  const cells = rows.map(({ optimizer, milliseconds, bytes, dispatches }, i) => [
    i > 0 && optimizer === rows[0].optimizer ? `${optimizer} again` : optimizer,
    range(milliseconds),
    range(ratios(milliseconds, rows[0].milliseconds), ratio),
    short((1e6 * median(milliseconds)) / parameters),
    short(bytes / 1e6),
    short(bytes / median(milliseconds) / 1e6),
    dispatches,
  ]);
  const found = problems(result);
  return [
    `**${title(runtime)}, work ${work}, updates alone**: ${parameters} parameters; clock: ${clock}, ${
      rows[0].milliseconds.length
    } rounds of ${repeats} updates in one pass. ` +
    `AdamW is within ${round(100 * noiseOf(result), 1)} % of itself. ` +
    (found.length === 0 ? "None is slower beyond that." : `FAILED: ${found.join("; ")}.`),
    "",
    ...table(UPDATE_HEAD, cells),
  ];
}

const REFRESH_HEAD = [
  "runtime",
  "adapter",
  "warm refresh, ms",
  "cold refresh, ms",
  "training step, ms",
  "warm refresh to step",
  "parameters, millions",
  "planned for the step, MiB",
];

function refreshSection(results) {
  const [{ size: [rows, columns, rank] }] = results;
  const cells = results.map(({ runtime, adapter, warm, cold, step }) => [
    title(runtime),
    adapter,
    range(warm),
    range(cold),
    ...(step.skipped ? [`skipped: ${step.skipped}`, "–", "–", "–"] : [
      short(step.milliseconds),
      round(median(warm) / step.milliseconds, 4),
      round(step.parameters / 1e6),
      round(step.plannedBytes / 2 ** 20, 0),
    ]),
  ]);
  return [
    `**A refresh of one projector** of a ${rows} × ${columns} matrix at rank ${rank}, beside one step of LLaMA 60M ` +
    "with a batch of 1 × 256 tokens (its authors' is 512 times that).",
    "",
    ...table(REFRESH_HEAD, cells),
  ];
}
