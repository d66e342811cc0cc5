import type { TrainEvent } from "../src/index.ts";
import { type CheckpointStore, openBrowserStore, StorageFullError } from "../src/exports/checkpoint.ts";
import {
  encodeTraining,
  type OpenedTraining,
  openTraining,
  type Run,
  type TrainingContext,
} from "../src/exports/train.ts";
import { keepRun } from "./kept_runs.ts";
import type { RunEvent, RunRequest } from "./protocol.ts";

/** The checkpoints of one run in the browser's storage, which no other tab uses meanwhile. */
export class Checkpoints {
  readonly #store: CheckpointStore;
  readonly #request: RunRequest;

  private constructor(store: CheckpointStore, request: RunRequest) {
    [this.#store, this.#request] = [store, request];
  }

  /**
   * Opens the checkpoints; undefined if the run neither has nor makes any, or has no room for them, with a `note`.
   * @throws RunInUseError if another tab trains a run of this name.
   */
  static async open(request: RunRequest, note: (message: string) => void): Promise<Checkpoints | undefined> {
    const { save_steps, save_total_limit, run_name } = request.config;
    if (save_steps === 0 && !request.goOn) return undefined;
    try {
      return new Checkpoints(await openBrowserStore(run_name, save_total_limit), request);
    } catch (error) {
      if (!(error instanceof StorageFullError) || request.goOn) throw error;
      note(error.message);
      return undefined;
    }
  }

  /**
   * The newest checkpoint, if the run goes on from one.
   * @throws RangeError or ConfigError if there is none or it is not of this run.
   */
  async newest(run: Run, context: TrainingContext): Promise<OpenedTraining | undefined> {
    if (!this.#request.goOn) return undefined;
    const step = (await this.#store.list()).at(-1);
    if (step === undefined) {
      throw new RangeError(
        `Cannot go on with the run "${run.config.run_name}": its checkpoints are gone. Start it anew`,
      );
    }
    return await openTraining(await this.#store.open(step), run, context);
  }

  /**
   * Saves a checkpoint and lists it for later pages. A full quota costs it, not the run: those before it are intact,
   * and the next may fit.
   */
  async save(
    { state }: Extract<TrainEvent, { type: "checkpoint" }>,
    { config }: Run,
    context: TrainingContext,
  ): Promise<RunEvent> {
    try {
      await this.#store.save(state.step, encodeTraining(state, config, context));
    } catch (error) {
      if (error instanceof StorageFullError) return { type: "note", message: error.message };
      throw error;
    }
    const { run_name: name, max_steps } = config;
    // If even this does not fit, the checkpoint is there, but no page offers it.
    await keepRun({ name, title: titleOf(config), step: state.step, max_steps, choices: this.#request.choices }).catch(
      () => {},
    );
    return { type: "saved", step: state.step };
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}

const titleOf = ({ model, peft, optim }: Run["config"]): string =>
  `${model === "" ? "a new LLaMA" : model}${peft ? ", LoRA" : ""}, ${optim}`;
