import type { Remote } from "comlink";
import { ConfigError } from "../src/index.ts";
import { formatBytes } from "../src/exports/plan.ts";
import { byId, find, lineOf } from "./dom.ts";
import type { TrainingApi } from "./protocol.ts";

const form = byId<HTMLFormElement>("settings");
const input = byId<HTMLInputElement>("file");
const figure = byId("preview");

/** The data to train on: the built-in stories, or a file that was chosen or dropped. */
export class DataSource {
  readonly #worker: Remote<TrainingApi>;
  #file: File | null = null;

  constructor(worker: Remote<TrainingApi>) {
    this.#worker = worker;
    input.addEventListener("change", () => void this.#take(input.files?.[0]));
    // The browser would leave the page and show the file by default.
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      byId("data").classList.add("target");
    });
    document.addEventListener(
      "dragleave",
      (event) => event.relatedTarget === null && byId("data").classList.remove("target"),
    );
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      byId("data").classList.remove("target");
      if (!byId<HTMLFieldSetElement>("fields").disabled) void this.#take(event.dataTransfer?.files[0]);
    });
    this.#show("About 2 MB of short English stories, written by a grammar", "");
  }

  /** True if the wanted data is there. */
  get isChosen(): boolean {
    return this.#wantsStories || this.#file !== null;
  }

  get #wantsStories(): boolean {
    return find<HTMLInputElement>(form, "[name=data]:checked").value === "stories";
  }

  /** The chosen file, or null for the stories. @throws ConfigError if a file is wanted and there is none. */
  get file(): File | null {
    if (this.#wantsStories) return null;
    if (this.#file) return this.#file;
    throw new ConfigError("Cannot train on a file: none is chosen. Choose one under Data, or use the built-in stories");
  }

  /** Takes a file; keeps the one before if it is refused. */
  async #take(file: File | undefined): Promise<void> {
    if (!file) return;
    byId("file-error").textContent = "";
    try {
      const { extent, head } = await this.#worker.preview(file);
      this.#file = file;
      find<HTMLInputElement>(form, "[name=data][value=file]").checked = true;
      this.#show(`${file.name}: ${formatBytes(file.size)}, ${extent}`, head);
      form.dispatchEvent(new Event("change"));
    } catch (error) {
      input.value = "";
      byId("file-error").textContent = lineOf(error);
    }
  }

  #show(caption: string, head: string): void {
    find(figure, "figcaption").textContent = caption;
    find(figure, "pre").textContent = head;
    find(figure, "pre").hidden = head === "";
  }
}
