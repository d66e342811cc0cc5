import { byId, count, create } from "./dom.ts";
import { keptRuns } from "./kept_runs.ts";
import type { KeptRun } from "./protocol.ts";

/** Shows what must be done first; empty: nothing. */
export const showKeptError = (text: string): void => void (byId("kept-error").textContent = text);

/** Offers the runs that have checkpoints. `goOn` is called with the chosen one. */
export async function showKeptRuns(goOn: (run: KeptRun) => void): Promise<void> {
  const runs = await keptRuns();
  byId("kept").hidden = runs.length === 0;
  byId("kept-runs").replaceChildren(...runs.map((run) => offer(run, goOn)));
}

function offer(run: KeptRun, goOn: (run: KeptRun) => void): HTMLElement {
  const { name, title, step, max_steps } = run, isDone = step >= max_steps;
  const button = create("button", { type: "button", class: "quiet" }, isDone ? "Open" : "Go on");
  button.addEventListener("click", () => goOn(run));
  const text = isDone
    ? `The run “${name}” of ${title}: all ${count(max_steps)} steps. With more Steps it trains on`
    : `Go on with the run “${name}” of ${title}, step ${count(step)} of ${count(max_steps)}`;
  return create("li", {}, button, create("span", {}, text));
}
