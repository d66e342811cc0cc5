import type { Summary } from "../src/index.ts";
import { formatBytes, totalBytes } from "../src/exports/plan.ts";
import { byId, count, create, fact, find } from "./dom.ts";
import { LossChart } from "./loss_chart.ts";
import type { RunEvent } from "./protocol.ts";

/** Samples and notes to scroll through; more would slow the page down. */
const SAMPLES_SHOWN = 50, NOTES_SHOWN = 5;

const chart = new LossChart(byId("chart"));
const progress = byId<HTMLProgressElement>("progress");

export const setStatus = (text: string): void => void (byId("status").textContent = text);

/** Adds a note, which stays to be read when the status has moved on. */
export function addNote(text: string): void {
  const notes = byId("run-notes");
  notes.append(`${text}\n`);
  if (notes.childNodes.length > NOTES_SHOWN) notes.firstChild!.remove();
}

/** Clears the card of the last run. */
export function beginRun(maxSteps: number): void {
  for (const id of ["step", "loss", "grad-norm", "learning-rate", "speed", "eta"]) byId(id).textContent = "–";
  byId("summary").hidden = true;
  byId("run-notes").replaceChildren();
  byId("samples-card").hidden = true;
  byId("samples").replaceChildren();
  progress.removeAttribute("value");
  chart.begin(maxSteps);
}

/** Shows a batch of events; the chart and the numbers are drawn once. */
export function showEvents(events: readonly RunEvent[], maxSteps: number): void {
  for (const event of events) {
    if (event.type === "step") chart.addStep(event.step, event.loss);
    else if (event.type === "evaluation") chart.addValidation(event.step, event.eval_loss);
    else if (event.type === "sample" && event.step > 0) addSample(event.step, event.text);
    else if (event.type === "end") showSummary(event.summary);
  }
  const last = events.findLast((event) => event.type === "step");
  if (last) showStep(last, maxSteps);
  chart.draw();
}

/** Shows the progress of the work before the first step. */
export function showProgress(done: number, total: number): void {
  progress.max = total;
  progress.value = done;
}

/** Stops all movement in the card. */
export function endRun(): void {
  if (!progress.hasAttribute("value")) progress.value = 0;
}

function showStep(
  { step, loss, grad_norm, learning_rate, tokens_per_second, eta_seconds, skipped }: Extract<
    RunEvent,
    { type: "step" }
  >,
  maxSteps: number,
): void {
  progress.max = maxSteps;
  progress.value = step;
  byId("step").textContent = `${count(step)} / ${count(maxSteps)}`;
  byId("loss").textContent = loss.toFixed(4);
  byId("grad-norm").textContent = `${grad_norm.toPrecision(3)}${skipped ? ", skipped" : ""}`;
  byId("learning-rate").textContent = learning_rate.toExponential(2);
  byId("speed").textContent = count(Math.round(tokens_per_second));
  byId("eta").textContent = duration(eta_seconds);
}

function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60), rest = String(Math.floor(seconds % 60)).padStart(2, "0");
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function addSample(step: number, text: string): void {
  const list = byId("samples");
  byId("samples-card").hidden = false;
  list.prepend(create("li", {}, create("h3", {}, `Step ${count(step)}`), create("p", {}, text)));
  if (list.childElementCount > SAMPLES_SHOWN) list.lastElementChild!.remove();
}

function showSummary(summary: Summary): void {
  // A run that was stopped while it compiled has nothing to sum up.
  if (summary.steps === 0) return;
  // A finished run that was opened again has made no step here.
  const stepped = !Number.isNaN(summary.train_loss);
  const planned = totalBytes(summary.planned_bytes), allocated = totalBytes(summary.allocated_bytes);
  const made = summary.buffers_created_per_step + summary.bind_groups_created_per_step +
    summary.pipelines_created_per_step;
  find(byId("summary"), "dl").replaceChildren(
    fact(
      "Steps",
      `${count(summary.steps)}${summary.skipped_steps ? `, ${count(summary.skipped_steps)} updates skipped` : ""}`,
    ),
    fact("Training loss", stepped ? summary.train_loss.toFixed(4) : "–"),
    fact("Validation loss", summary.eval_loss.toFixed(4)),
    ...(summary.accuracy === undefined ? [] : [
      fact(
        "Classes",
        `accuracy ${summary.accuracy.toFixed(3)}, F1 ${summary.f1!.toFixed(3)}, Matthews ${
          summary.matthews_correlation!.toFixed(3)
        }`,
      ),
    ]),
    fact("Speed", stepped ? `${count(Math.round(summary.tokens_per_second))} tokens/s` : "–"),
    fact(
      "Parameters",
      `${count(summary.parameters)}${
        summary.trainable_parameters < summary.parameters ? `, ${count(summary.trainable_parameters)} trained` : ""
      }`,
    ),
    fact("Memory", `${formatBytes(planned)} planned, ${formatBytes(allocated)} allocated`),
    fact(
      "In a step",
      stepped
        ? `${summary.submits_per_step} submit, ${
          count(summary.dispatches_per_step)
        } dispatches, ${made} objects created`
        : "–",
    ),
  );
  byId("summary").hidden = false;
}
