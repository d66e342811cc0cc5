import type { Remote } from "comlink";
import { byId, create } from "./dom.ts";
import type { ResultFiles, TrainingApi } from "./protocol.ts";

const TITLES = { adapter: "Adapter, for PEFT", model: "Model, for transformers" } as const;
const MERGED = "Model with the adapter merged in, for transformers";

/** Offers the result of the last run, one file at a time: a browser would prompt before it saves several. */
export function showResults(
  results: readonly ResultFiles[],
  worker: Remote<TrainingApi>,
  onError: (error: unknown) => void,
): void {
  byId("results").hidden = results.length === 0;
  byId("result-files").replaceChildren(...results.flatMap(({ kind, names }) => [
    create("h3", {}, kind === "model" && results.length > 1 ? MERGED : TITLES[kind]),
    create("div", { class: "buttons" }, ...names.map((name) => fileButton(kind, name, worker, onError))),
  ]));
}

function fileButton(
  kind: ResultFiles["kind"],
  name: string,
  worker: Remote<TrainingApi>,
  onError: (error: unknown) => void,
): HTMLElement {
  const button = create("button", { type: "button", class: "quiet", "data-file": `${kind}/${name}` }, name);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      download(await worker.result(kind, name), name);
      onError(undefined);
    } catch (error) {
      onError(error);
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  create("a", { href: url, download: name }).click();
  // The browser reads the Blob after the click has been handled.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
