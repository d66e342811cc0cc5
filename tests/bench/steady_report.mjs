// That nothing grows while training, as Markdown.

import { round, table, title } from "./markdown.mjs";

/**
 * How much the JavaScript heap may grow from the first quarter of the steps to the last, in bytes. From step 250 to
 * 1000 it grew by 33 KB in Deno and by 25 KB in Chromium, much the same in each run, in jumps and hardly any more after
 * step 750 (0.5 and
 * 0.2 KB): V8 keeps optimising functions. One small object kept in an array each step adds another 32 KB.
 */
const HEAP_ALLOWANCE = 48 * 1024;

const difference = (a, b) => Object.fromEntries(Object.keys(a).map((key) => [key, b[key] - a[key]]));
const kibibytes = (bytes) => (bytes === undefined ? "–" : round(bytes / 1024, 1));
const perStep = (value, steps) => (value % steps === 0 ? String(value / steps) : round(value / steps, 3));

/** Calls from one snapshot to the next. */
function intervals(snapshots) {
  return snapshots.slice(1).map((to, i) => {
    const from = snapshots[i];
    return {
      from,
      to,
      steps: to.step - from.step,
      reads: to.reads - from.reads,
      training: difference(from.training, to.training),
      reading: difference(from.reading, to.reading),
    };
  });
}

/** The counts that grew and must not. Empty for a steady state. */
export function problems({ snapshots, plannedBytes, allocatedBytes }) {
  const [first, quarter] = snapshots, last = snapshots.at(-1);
  const found = [];
  for (const what of ["buffers", "bindGroups", "pipelines", "shaderModules"]) {
    const made = last.training[what] + last.reading[what] - first.training[what] - first.reading[what];
    if (made > 0) found.push(`${made} ${what} were created after step ${first.step}`);
  }
  if (snapshots.some(({ aliveBytes }) => aliveBytes !== first.aliveBytes)) {
    found.push(`the bytes of GPU buffers alive changed after step ${first.step}`);
  }
  const grown = last.heapBytes - quarter.heapBytes;
  if (grown > HEAP_ALLOWANCE) {
    found.push(
      `the JavaScript heap grew by ${grown} bytes from step ${quarter.step} to ${last.step}, allowed are ` +
        `${HEAP_ALLOWANCE}`,
    );
  }
  const total = Object.values(plannedBytes).reduce((sum, bytes) => sum + bytes, 0);
  if (total !== first.aliveBytes) {
    found.push(`${first.aliveBytes} bytes of GPU buffers are alive, planned were ${total}`);
  }
  for (const [role, bytes] of Object.entries(plannedBytes)) {
    if (allocatedBytes[role] !== bytes) {
      found.push(`${allocatedBytes[role]} bytes are allocated for role ${role}, planned were ${bytes}`);
    }
  }
  return found;
}

export function markdown(machine, _peer, results) {
  return [`${machine}.`, "", ...results.flatMap((result) => [...section(result), ""])].join("\n").trimEnd();
}

function section(result) {
  const {
    runtime,
    work,
    adapter,
    steps,
    snapshots,
    plannedBytes,
    allocatedBytes,
    firstLoss,
    lastLoss,
    millisecondsPerStep,
  } = result;
  const found = problems(result);
  const calls = intervals(snapshots).map(({ from, to, steps, reads, training, reading }) => [
    `${from.step + 1} to ${to.step}`,
    ...["submits", "passes", "dispatches", "buffers", "bindGroups", "pipelines", "shaderModules"].map((what) =>
      perStep(training[what], steps)
    ),
    `${reads}: ${reads === 0 ? "–" : perStep(reading.submits, reads)}, ${reading.buffers}`,
  ]);
  const memory = snapshots.map((
    { step, aliveBytes, heapBytes, residentBytes },
  ) => [step, aliveBytes, kibibytes(heapBytes), residentBytes === undefined ? "–" : round(residentBytes / 2 ** 20)]);
  const roles = Object.entries(plannedBytes).filter(([, bytes]) => bytes > 0).map((
    [role, bytes],
  ) => [role, bytes, allocatedBytes[role]]);
  return [
    `**${title(runtime)}, work ${work}**: ${adapter}; ${steps} steps, metrics read every 10; loss ${
      round(firstLoss, 3)
    } → ${round(lastLoss, 3)}; ${round(millisecondsPerStep)} ms a step. ` +
    (found.length === 0 ? "Nothing grew." : `FAILED: ${found.join("; ")}.`),
    "",
    ...table([
      "steps",
      "submits a step",
      "passes",
      "dispatches",
      "buffers created",
      "bind groups",
      "pipelines",
      "shader modules",
      "reads: submits each, buffers",
    ], calls),
    "",
    ...table(["after step", "GPU buffers alive, bytes", "JavaScript heap, KiB", "process, MiB"], memory),
    "",
    ...table(["role", "planned bytes", "allocated bytes"], roles),
  ];
}
