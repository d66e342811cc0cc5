import type { Remote } from "comlink";
import { ConfigError } from "../src/index.ts";
import { chosenFiles, isRepository } from "../src/exports/checkpoint.ts";
import { formatBytes } from "../src/exports/plan.ts";
import { byId, count, find, lineOf } from "./dom.ts";
import type { ModelPlace, ModelReport, TrainingApi } from "./protocol.ts";

const form = byId<HTMLFormElement>("settings");
const facts = byId("model-facts"), error = byId("model-error");
const repository = find<HTMLInputElement>(form, "[name=repository]");

type Kind = ModelPlace["kind"];

const WANTED: Readonly<Record<Kind, string>> = {
  files: "no folder is open. Choose one under Model, or a new small model",
  hub: "none is open. Give its owner and name under Model and press Open",
};

/** The model to train: a new one, or one whose folder or repository was opened. */
export class ModelSource {
  readonly #worker: Remote<TrainingApi>;
  readonly #opened = new Map<Kind, ModelReport>();
  #newest = 0;

  constructor(worker: Remote<TrainingApi>) {
    this.#worker = worker;
    for (const id of ["model-folder", "model-files"]) {
      const input = byId<HTMLInputElement>(id);
      input.addEventListener("change", (event) => {
        event.stopPropagation(); // nothing has changed yet
        if (input.files?.length) void this.#open({ kind: "files", ...chosenFiles([...input.files]) });
      });
    }
    byId("open-model").addEventListener("click", () => void this.openRepository());
    repository.addEventListener("input", () => this.#opened.delete("hub"));
    repository.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // would start a run
      void this.openRepository();
    });
    form.addEventListener("change", () => this.show());
    this.show();
  }

  /** The name of the pretrained model, empty for a new one. @throws ConfigError if one is wanted and none is open. */
  get name(): string {
    const kind = this.#kind;
    if (kind === "new") return "";
    const opened = this.#opened.get(kind);
    if (opened) return opened.name;
    throw new ConfigError(`Cannot train a model of ${kind === "hub" ? "the hub" : "a folder"}: ${WANTED[kind]}`);
  }

  /** True if the wanted model is open. */
  get isOpen(): boolean {
    const kind = this.#kind;
    return kind === "new" || this.#opened.has(kind);
  }

  /** The folder's name, if one is trained. */
  get folder(): string | null {
    return this.#kind === "files" ? this.name : null;
  }

  async openRepository(): Promise<void> {
    const name = repository.value.trim();
    if (isRepository(name)) return await this.#open({ kind: "hub", repository: name });
    error.textContent = `Cannot open "${name}" on the hub: expected owner/name, like ${repository.placeholder}`;
  }

  /** Shows the fields that belong to the choice. */
  show(): void {
    const kind = this.#kind, tuning = find<HTMLSelectElement>(form, "[name=tuning]").value;
    for (const group of byId("model").querySelectorAll<HTMLElement>("[data-for]")) {
      group.hidden = !group.dataset["for"]!.split(" ").some((name) => name === kind || name === tuning);
    }
    const opened = kind === "new" ? undefined : this.#opened.get(kind);
    facts.textContent = opened ? describe(opened) : "";
  }

  get #kind(): Kind | "new" {
    return find<HTMLInputElement>(form, "[name=source]:checked").value as Kind | "new";
  }

  /** Opens a model; keeps the one before if it cannot be used. The newest call wins. */
  async #open(place: ModelPlace): Promise<void> {
    const mine = ++this.#newest;
    error.textContent = "";
    facts.textContent = "Opening…";
    try {
      const report = await this.#worker.openModel(place);
      if (mine !== this.#newest) return;
      this.#opened.set(place.kind, report);
    } catch (problem) {
      if (mine !== this.#newest) return;
      error.textContent = lineOf(problem);
    }
    this.show();
    form.dispatchEvent(new Event("change"));
  }
}

const describe = ({ name, model_type, bytes, vocab_size }: ModelReport): string =>
  `${name}: ${model_type}, ${formatBytes(bytes)} of weights, ${
    vocab_size === null ? "no tokenizer: data must be rows of input_ids" : `${count(vocab_size)} tokens`
  }`;
