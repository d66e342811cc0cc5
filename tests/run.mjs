// npm test: type checks, every test file in Deno, and the shared ones in Chromium, side by side.
//   --deno, --chromium   only that runtime, no type checks
//   --filter TEXT        only files and tests with TEXT in their name, no type checks
//
// The last line is "N passed, N failed" (", N skipped").
// The exit status is 1 unless something passed and nothing failed.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { denoEnvironment, findDeno, repository, setup } from "../src/cli/setup.mjs";
import { typeChecks } from "./type_checks.mjs";

/** A test that neither ends nor prints anything for so long is taken for hung; so is a type check, which is silent. */
const PATIENCE_MS = 240_000, TYPES_PATIENCE_MS = 600_000;

/** A place in a page's stack, whose line numbers are those of the compiled file. */
const PAGE_FRAME = /http:\/\/127\.0\.0\.1:\d+\/([^:?]+)[^:]*:(\d+):\d+/;

const tally = { passed: 0, failed: 0, skipped: 0 };
/** Seconds of each file, for the slowest of them. */
const durations = [];
const failures = [];
const begun = performance.now();
const denoEnv = { ...denoEnvironment(), NO_COLOR: "1" };
delete denoEnv.RUST_BACKTRACE; // would add an empty backtrace to each of Deno's errors

process.on("uncaughtException", endWith);
await main().catch(endWith);
summarize();

/** The last line must tell the truth even when this program breaks. */
function endWith(error) {
  const report = openReport("run", "tests/run.mjs");
  report.fail("the run itself", error instanceof Error ? error.stack : String(error));
  report.close();
  summarize();
}

async function main() {
  const { values } = parseArgs({
    options: { deno: { type: "boolean" }, chromium: { type: "boolean" }, filter: { type: "string", default: "" } },
  });
  const { filter } = values, both = !values.deno && !values.chromium;
  await setup({ browser: both || values.chromium });
  const files = testFiles();
  await Promise.all([
    ...(both && filter === "" ? [checkTypes()] : []),
    ...(both || values.deno ? [runInDeno(files.filter((file) => !file.endsWith(".browser.test.ts")), filter)] : []),
    ...(both || values.chromium ? [runInPages(files.filter((file) => !file.endsWith(".deno.test.ts")), filter)] : []),
  ]);
}

/** The shared tests and the demo, each in a browser of its own: they compile for long on one core. */
async function runInPages(files, filter) {
  const { runInChromium } = await import("./browser/run.mjs"); // needs the packages that setup() brings
  const { runDemo } = await import("./browser/demo.mjs");
  const open = (file) => openReport("chromium", file, filter);
  await Promise.all([runInChromium({ files, filter, open, patience: PATIENCE_MS }), runDemo({ filter, open })]);
}

function testFiles() {
  const names = readdirSync(join(repository, "tests"), { recursive: true }).map((name) => name.replaceAll("\\", "/"));
  return names.filter((name) => name.endsWith(".test.ts")).sort();
}

// ---- type checks ------------------------------------------------------------------------------------------------

async function checkTypes() {
  for (const [name, [command, ...args]] of Object.entries(typeChecks())) await check(name, command, args);
}

async function check(name, command, args) {
  const report = openReport("types", name);
  report.hear({ event: "start", name });
  const { status, output } = await runProcess(command, args, { patience: TYPES_PATIENCE_MS });
  const outcome = status === 0 ? "passed" : "failed";
  report.hear({ event: "end", name, outcome, ms: 0, detail: output.trim() || `ended with ${status}` });
  report.close();
}

// ---- Deno -------------------------------------------------------------------------------------------------------

/**
 * One process a file: a crash of the driver or a hung test costs that file only. Two at a time, since a test waits for
 * its device, and computes its reference, on one core.
 */
async function runInDeno(files, filter) {
  const folder = mkdtempSync(join(tmpdir(), "scrimp-tests-")), left = files.values();
  const runLeft = async () => {
    for (const file of left) await runFileInDeno(file, filter, join(folder, `${file.replaceAll("/", "_")}.jsonl`));
  };
  try {
    await Promise.all([runLeft(), runLeft()]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runFileInDeno(file, filter, eventsPath) {
  const report = openReport("deno", file, filter);
  const named = filter && !file.includes(filter) ? ["--filter", filter] : [];
  const args = ["test", "-A", "--no-check", "--config", "deno.json", ...named, join("tests", file)];
  const readEvents = () => existsSync(eventsPath) ? readFileSync(eventsPath, "utf8") : "";
  const environment = { SCRIMP_TEST_EVENTS: eventsPath }, progress = () => readEvents().length;
  const { status, output } = await runProcess(findDeno(), args, { environment, progress });

  for (const line of readEvents().split("\n").slice(0, -1)) report.hear(JSON.parse(line));
  if (report.running() !== undefined) report.fail(report.running(), `the process ended first, with ${status}`);
  // Tests that do not use the harness, errors outside any test, and crashes are in Deno's own account only.
  const deno = denoCounts(output);
  report.pass(deno.passed - report.counts.passed - report.counts.skipped);
  const crashedAtExit = isCrashAtExit(status, output);
  if (crashedAtExit) {
    report.note(`the process ended with ${status} after its tests had passed: ${output.trim().split("\n").at(-1)}`);
  }
  const unexplained = deno.failed > report.counts.failed ||
    (status !== 0 && report.counts.failed === 0 && !crashedAtExit);
  if (unexplained) report.fail(`deno test ${file}`, `ended with ${status}; ${denoErrors(output)}`);
  else if (report.counts.failed > 0) report.note(testOutput(output));
  report.close();
}

/**
 * Mesa's llvmpipe (22.3) now and then corrupts the heap while a process that has used it exits, whatever it ran. Deno
 * has given its verdict by then, and it stands: told as a note, not as a failure.
 */
function isCrashAtExit(status, output) {
  return (status === "SIGABRT" || status === "SIGSEGV") &&
    /\nok \| \d+ passed( \(\d+ steps?\))? \| 0 failed/.test(output);
}

/** From the last line of `deno test`: "FAILED | 4 passed (1 step) | 3 failed | 1 ignored (144ms)". */
function denoCounts(output) {
  const line = output.split("\n").findLast((text) => /^(ok|FAILED) \| \d+ passed/.test(text)) ?? "";
  const count = (word) => Number(new RegExp(`(\\d+) ${word}`).exec(line)?.[1] ?? 0);
  return { passed: count("passed"), failed: count("failed") };
}

function denoErrors(output) {
  const [, errors] = output.split(" ERRORS ");
  return (errors?.split(" FAILURES ")[0] ?? output.slice(-2000)).trim();
}

/** The lines that the tests themselves printed. */
function testOutput(output) {
  const blocks = [...output.matchAll(/^-+ output -+\n(.*?)^-+ output end -+$/gms)];
  return blocks.map(([, text]) => text.replace(/^skipped: .*\n/gm, "")).join("").trim();
}

/**
 * Ends with the exit status, the signal's name or the reason of the kill. `progress` gives a number that moves while
 * all is well, at least once in the time of `patience`.
 */
function runProcess(command, args, { environment = {}, progress = () => 0, patience = PATIENCE_MS } = {}) {
  return new Promise((resolve) => {
    const env = { ...denoEnv, ...environment };
    const child = spawn(command, args, { cwd: repository, stdio: ["ignore", "pipe", "pipe"], env });
    let output = "", seen = "", since = performance.now(), reason;
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => output += text);
    const timer = setInterval(() => {
      const now = `${output.length} ${progress()}`;
      if (now !== seen) [seen, since] = [now, performance.now()];
      if (performance.now() - since < patience) return;
      reason = `no progress for ${patience / 1000} s`;
      child.kill("SIGKILL");
    }, 1000);
    const end = (status) => {
      clearInterval(timer);
      resolve({ status: reason ?? status, output });
    };
    child.on("error", (error) => end(error.message));
    child.on("close", (code, signal) => end(code ?? signal));
  });
}

// ---- reports ----------------------------------------------------------------------------------------------------

/** Collects what happens in one file, prints it, and adds it to the tally. */
function openReport(runtime, file, filter = "") {
  const counts = { passed: 0, failed: 0, skipped: 0 }, opened = performance.now();
  const lines = [];
  let running;
  const count = (outcome, by = 1) => (counts[outcome] += by, tally[outcome] += by);
  const fail = (name, detail) => {
    running = undefined;
    count("failed");
    failures.push(`${runtime} ${file} > ${name}`);
    lines.push(`  FAILED ${name}: ${indent(detail)}`);
  };
  return {
    counts,
    fail,
    running: () => running,
    hear(event) {
      if (event.event === "start") return void (running = event.name);
      if (event.outcome === "failed") return fail(event.name, event.detail);
      running = undefined;
      count(event.outcome);
      if (event.outcome === "skipped") lines.push(`  skipped ${event.name}: ${event.detail}`);
    },
    pass: (number) => void (number > 0 && count("passed", number)),
    note: (text) => void (text && lines.push(`  | ${indent(text)}`)),
    close() {
      const total = counts.passed + counts.failed + counts.skipped;
      if (total === 0 && filter) return;
      if (total === 0) fail("any test", "the file has none, expected at least one call of test()");
      const line = `${runtime.padEnd(8)} ${file.padEnd(44)}`, seconds = (performance.now() - opened) / 1000;
      durations.push({ line, seconds });
      console.log(`${line} ${describeCounts(counts)}  ${seconds.toFixed(1)} s`);
      for (const line of lines) console.log(line);
    },
  };
}

/** At most 40 lines, without the frames of the harness and with paths that begin in the repository. */
function indent(text) {
  const lines = text.split("\n").filter((line) =>
    !/^\s+at .*(ext:|\/tests\/harness\.ts|\/tests\/browser\/main\.ts)/.test(line)
  );
  const short = lines.map((line) =>
    line.replace(pathToFileURL(repository).href, "").replace(PAGE_FRAME, "$1, line $2 as compiled")
  );
  return short.slice(0, 40).join("\n    ");
}

function describeCounts({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}`;
}

function summarize() {
  const slowest = durations.sort((a, b) => b.seconds - a.seconds).slice(0, 10);
  if (durations.length > 10) {
    console.log("\nslowest:");
    for (const { line, seconds } of slowest) console.log(`  ${line} ${seconds.toFixed(1)} s`);
  }
  console.log(`\n${((performance.now() - begun) / 1000).toFixed(0)} s in all`);
  for (const failure of failures) console.log(`FAILED ${failure}`);
  console.log(describeCounts(tally));
  // Not process.exitCode: a hung page or server must not keep the run alive.
  process.exit(tally.failed === 0 && tally.passed > 0 ? 0 : 1);
}
