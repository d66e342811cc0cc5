import { proxy, wrap } from "comlink";
import type { BytesByRole, TrainingConfig } from "../src/index.ts";
import { type OptimizerName, OPTIMIZERS } from "../src/exports/optim.ts";
import { formatBytes } from "../src/exports/plan.ts";
import { DataSource } from "./data_source.ts";
import { showDevice } from "./device_card.ts";
import { byId, count, lineOf } from "./dom.ts";
import { showKeptError, showKeptRuns } from "./kept_card.ts";
import { nextFreeName } from "./kept_runs.ts";
import { showComparison, showLedger } from "./memory_card.ts";
import { ModelSource } from "./model_source.ts";
import type { KeptRun, RunEvent, RunRequest, TrainingApi } from "./protocol.ts";
import { showResults } from "./results_card.ts";
import { addNote, beginRun, endRun, setStatus, showEvents, showProgress } from "./run_card.ts";
import { fillIn, formValues, openSettings, readSettings, rememberSettings } from "./settings_form.ts";

type State = "idle" | "starting" | "running" | "pausing" | "paused" | "stopping";

const form = byId<HTMLFormElement>("settings");
const [start, pause, stop] = [
  byId<HTMLButtonElement>("start"),
  byId<HTMLButtonElement>("pause"),
  byId<HTMLButtonElement>("stop"),
];
const thread = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "scrimp" });
const worker = wrap<TrainingApi>(thread);
const data = new DataSource(worker), model = new ModelSource(worker);

/** Rest of the keys after which the form is read. */
const MILLISECONDS_OF_TYPING = 150;

let state: State = "idle";
let largestBuffer: number | undefined;
/** True once there is an adapter to train on. */
let ready = false;

// ---- states -----------------------------------------------------------------------------------------------------

/** True while there is no button for the keyboard's focus. */
let focusLost = false;

function enter(next: State): void {
  state = document.body.dataset["state"] = next;
  const idle = next === "idle";
  byId<HTMLFieldSetElement>("fields").disabled = !idle;
  start.disabled = !idle || !ready;
  pause.disabled = idle || next === "stopping";
  pause.textContent = next === "pausing" || next === "paused" ? "Resume" : "Pause";
  stop.disabled = idle || next === "stopping";
  for (const button of byId("kept").querySelectorAll("button")) button.disabled = start.disabled;
  // A button that is disabled under the keyboard's focus would send it to the top of the page.
  const buttons = [pause, start, stop];
  focusLost ||= buttons.some((button) => button.disabled && button === document.activeElement);
  const refuge = buttons.find((button) => !button.disabled);
  if (!focusLost || !refuge) return;
  refuge.focus();
  focusLost = false;
}

function showError(error: unknown): void {
  byId("error").textContent = error === undefined ? "" : lineOf(error);
}

// ---- memory, before anything runs -------------------------------------------------------------------------------

let newestPlan = 0;

/** Plans a run, then the same under the other optimizers. The newest call wins: an older one ends without a trace. */
async function plan(config: TrainingConfig): Promise<void> {
  const mine = ++newestPlan;
  const own = await worker.plan(config);
  if (mine !== newestPlan) return;
  showLedger(own, largestBuffer);
  const all = new Map<OptimizerName, BytesByRole | string>();
  for (const optim of OPTIMIZERS) {
    all.set(optim, optim === config.optim ? own.bytes : await bytesUnder(optim, config));
    if (mine !== newestPlan) return;
  }
  showComparison(all, config.optim);
  byId("memory").dataset["stale"] = "false";
}

/** The same run under another optimizer, or the reason why it cannot have it. */
async function bytesUnder(optim: OptimizerName, config: TrainingConfig): Promise<BytesByRole | string> {
  const settings = { ...config, optim, optim_args: {}, optim_target_modules: null, memory_budget: null };
  return await worker.plan(settings).then(({ bytes }) => bytes, lineOf);
}

async function settingsChanged(): Promise<void> {
  try {
    const config = readSettings(model.name);
    showError(undefined);
    await plan(config);
  } catch (error) {
    if (state === "idle") showError(error);
  }
}

let typing: ReturnType<typeof setTimeout> | undefined;

function settle(): void {
  clearTimeout(typing);
  byId("memory").dataset["stale"] = "true";
  typing = setTimeout(rememberAndPlan, MILLISECONDS_OF_TYPING);
}

function rememberAndPlan(): void {
  clearTimeout(typing);
  void rememberSettings();
  void settingsChanged();
}

// ---- a run ------------------------------------------------------------------------------------------------------

/** Starts a run, or refuses settings that cannot be, and trains until the run has ended one way or another. */
async function run(goOn: boolean): Promise<void> {
  if (state !== "idle" || !ready) return;
  // A change just before the start still shows in the table, and delays nothing: the Worker plans first. It comes
  // before anything that may fail, since it clears the error of the last settings.
  if (byId("memory").dataset["stale"] === "true") rememberAndPlan();
  try {
    if (!goOn) await takeFreeName();
    const config = readSettings(model.name), { file } = data;
    showError(undefined);
    await runWith({
      config,
      file,
      goOn,
      choices: { fields: formValues(), folder: model.folder, file: file?.name ?? null },
    });
  } catch (error) {
    showError(error);
  }
}

/** Numbers the name of a new run where an earlier one has checkpoints under it, which stay as they are. */
async function takeFreeName(): Promise<void> {
  const name = formValues()["run_name"]!.trim(), free = await nextFreeName(name);
  if (free === name) return;
  fillIn({ run_name: free });
  await rememberSettings();
}

/**
 * Takes up a run of an earlier page, with its settings and once its files are chosen again. More steps than it had, if
 * the form asks for them, are trained on top.
 */
async function goOn({ max_steps, choices: { fields, folder, file } }: KeptRun): Promise<void> {
  if (state !== "idle") return;
  const wanted = formValues()["max_steps"]!;
  fillIn({ ...fields, ...(Number(wanted) > max_steps && { max_steps: wanted }) });
  model.show();
  if (fields["source"] === "hub" && !model.isOpen) await model.openRepository();
  settle();
  const missing = [
    ...(folder !== null && !model.isOpen ? [`the folder ${folder} under Model`] : []),
    ...(file !== null && !data.isChosen ? [`the file ${file} under Data`] : []),
  ];
  showKeptError(missing.length === 0 ? "" : `Choose ${missing.join(" and ")} again, then press the button once more`);
  if (missing.length === 0) await run(true);
}

async function runWith(request: RunRequest): Promise<void> {
  const { config } = request;
  let steps = 0, ending = "Ended by an error";
  const listen = (events: readonly RunEvent[]): void => {
    showEvents(events, config.max_steps);
    for (const event of events) {
      if (event.type === "step" || event.type === "resumed") steps = event.step;
      react(event, steps);
    }
  };
  enter("starting");
  setStatus("Reading the data…");
  try {
    beginRun(config.max_steps);
    showResults([], worker, showError);
    showResults(await worker.start(request, proxy(listen)), worker, showError);
    ending = steps === 0
      ? "Stopped before the first step"
      : `${steps < config.max_steps ? "Stopped" : "Finished"} after ${count(steps)} steps`;
  } finally {
    enter("idle");
    endRun();
    setStatus(ending);
    await offerKeptRuns();
  }
}

function react(event: RunEvent, steps: number): void {
  const isBusy = state === "starting" || state === "running";
  switch (event.type) {
    case "prepared":
      showLedger(event.plan, largestBuffer);
      return;
    case "compiling":
      showProgress(event.done, event.total);
      if (isBusy) setStatus(`Compiling kernels: ${event.done} of ${event.total}`);
      return;
    case "loading":
      showProgress(event.done, event.total);
      if (isBusy) setStatus(`${event.what} the model: ${formatBytes(event.done)} of ${formatBytes(event.total)}`);
      return;
    case "step":
      if (!isBusy) return;
      if (state === "starting") enter("running");
      setStatus("Training");
      return;
    case "resumed":
      addNote(`Goes on after step ${count(event.step)}.`);
      return;
    case "recovered":
      setStatus("The GPU was lost and opened again");
      addNote(`The GPU was lost and opened again; the run went on after step ${count(event.step)}.`);
      return;
    case "note":
      addNote(event.message);
      return;
    case "paused":
      if (state !== "pausing") return;
      enter("paused");
      setStatus(`Paused after step ${count(steps)}`);
      return;
    case "evaluation":
    case "sample":
    case "saved":
    case "end":
      return;
    default:
      event satisfies never;
  }
}

const offerKeptRuns = async (): Promise<void> => {
  await showKeptRuns((kept) => void goOn(kept));
  enter(state);
};

function togglePause(): void {
  if (state === "pausing" || state === "paused") {
    void worker.resume();
    enter("running");
    setStatus("Training");
  } else {
    void worker.pause();
    enter("pausing");
    setStatus("Pausing after this step…");
  }
}

function stopRun(): void {
  void worker.stop();
  enter("stopping");
  setStatus("Stopping: the last evaluation and sample…");
}

// ---- wiring -----------------------------------------------------------------------------------------------------

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void run(false);
});
form.addEventListener("input", settle);
form.addEventListener("change", settle);
pause.addEventListener("click", togglePause);
stop.addEventListener("click", stopRun);
byId("reset-settings").addEventListener("click", () => {
  form.reset();
  model.show();
  settle();
});
thread.addEventListener("error", (event) => {
  // The Worker's script did not load or broke outside any call; nothing would ever answer.
  event.preventDefault();
  ready = false;
  enter("idle");
  endRun();
  setStatus("Out of order: reload the page");
  showError(`The training worker failed: ${event.message || "it could not be loaded"}`);
});

await openSettings();
const device = await worker.device();
showDevice(device);
if (device.found) {
  const { maxBufferSize, maxStorageBufferBindingSize } = device.adapter.limits;
  largestBuffer = Math.min(maxBufferSize, maxStorageBufferBindingSize);
}
ready = device.found;
await offerKeptRuns();
setStatus(ready ? "Ready" : "Training needs WebGPU: see Device");
await settingsChanged();
