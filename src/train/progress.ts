import type { Guard } from "../gpu/device_loss.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { bytesOf } from "../plan/tensor.ts";
import type { Listener, TrainEvent } from "./events.ts";
import type { Remapping } from "./layout.ts";
import type { TrainingData, TrainingJob } from "./job.ts";
import { persistentTensors } from "./programs.ts";
import type { Trainer, TrainingState } from "./trainer.ts";

/**
 * A state is kept in memory when this share of the time since the last one pays for it, but not more often than that.
 */
const SHARE_OF_TIME = 0.01, LEAST_SECONDS = 10;

/** States beyond this are kept only where they are to be saved: two of them are in memory while one is read. */
const MOST_BYTES = 512 * 2 ** 20;

/** The state of an earlier run, and how it fits this one if it trained something else. */
export interface Resumed {
  /** The state that training continues from. */
  readonly state: TrainingState;
  /** The way saved state was fitted to other settings, if it was. */
  readonly remapping?: Remapping | undefined;
}

/**
 * Event log and latest snapshot of a run. Survives a lost device; steps that are replayed after it emit no second
 * event.
 */
export class Progress {
  readonly #emit: Listener;
  readonly #data: TrainingData;
  readonly #optimizer: Optimizer;
  /** State of the optimizer's switches before the first step. */
  readonly #initial: ReturnType<Optimizer["save"]>;
  /** Last step reported, by type of event. */
  readonly #reported = new Map<TrainEvent["type"], number>();
  readonly #losses: number[] = [];
  #skipped = 0;
  #ended = false;
  #kept: TrainingState | undefined;
  /** Remapping of the snapshot, as long as it is the one that was loaded. */
  #remapping: Remapping | undefined;
  #keptAt = performance.now();
  #cost = 0;
  /** Step of the last state that the listener was given to save. */
  #saved = 0;

  /** True if checkpoints are wanted. */
  readonly #saves: boolean;
  /** Size of a snapshot. */
  readonly #bytes: number;

  constructor({ programs, data, settings }: TrainingJob, emit: Listener, resumed: Resumed | undefined) {
    this.#emit = emit;
    this.#data = data;
    if (resumed?.state.position) data.resume(resumed.state.position);
    this.#optimizer = programs.train.optimizer;
    this.#initial = this.#optimizer.save();
    this.#saves = settings.save_steps > 0;
    this.#bytes = persistentTensors(programs).reduce((sum, tensor) => sum + bytesOf(tensor), 0);
    this.#kept = resumed?.state;
    this.#remapping = resumed?.remapping;
  }

  /** The last step that was reported. */
  get furthest(): number {
    return this.#reported.get("step") ?? 0;
  }

  /** Reports an event, unless it is a repetition after a loss. */
  async emit(event: TrainEvent): Promise<void> {
    if (event.type === "end") {
      if (this.#ended) return;
      this.#ended = true;
    }
    if ("step" in event && event.type !== "recovered") {
      if (event.step <= (this.#reported.get(event.type) ?? 0)) return;
      this.#reported.set(event.type, event.step);
    }
    if (event.type === "step") {
      this.#losses.push(event.loss);
      this.#skipped += event.skipped ? 1 : 0;
    }
    await this.#emit(event);
  }

  /** Restores the latest snapshot in a new trainer. */
  restore(trainer: Trainer): void {
    // Undo the switches of the optimizer that a lost device has seen: a remapping begins from there.
    this.#optimizer.restore(this.#initial);
    if (this.#kept) trainer.restore(this.#kept, this.#remapping);
  }

  async recovered(): Promise<void> {
    await this.emit({ type: "recovered", step: this.#kept?.step ?? 0 });
  }

  /** Takes a snapshot, now and then while it is small, or because it is to be saved. */
  async keep(trainer: Trainer, guard: Guard, save: boolean): Promise<void> {
    const seconds = (performance.now() - this.#keptAt) / 1000,
      isDue = seconds >= Math.max(LEAST_SECONDS, this.#cost / SHARE_OF_TIME);
    if (save || (isDue && this.#bytes <= MOST_BYTES)) await this.#keep(trainer, guard, save);
  }

  /** Takes the snapshot that the run ends with. */
  async keepLast(trainer: Trainer, guard: Guard, save: boolean): Promise<void> {
    if (this.#kept?.step !== trainer.steps) await this.#keep(trainer, guard, save);
    else if (save) await this.#save();
  }

  /** Emits the snapshot as a checkpoint, if it is newer than the last one. */
  async giveUp(): Promise<void> {
    if (this.#saves) await this.#save();
  }

  async #keep(trainer: Trainer, guard: Guard, save: boolean): Promise<void> {
    const begun = performance.now();
    this.#kept = await guard(trainer.save(this.#data.position()));
    this.#remapping = undefined;
    this.#keptAt = performance.now();
    this.#cost = (this.#keptAt - begun) / 1000;
    if (save) await this.#save();
  }

  async #save(): Promise<void> {
    const state = this.#kept;
    if (!state || state.step <= this.#saved) return;
    this.#saved = state.step;
    await this.emit({ type: "checkpoint", step: state.step, state });
  }

  /** Mean loss of the last `count` steps, and how many updates were left out. */
  ofSteps(count: number): { readonly train_loss: number; readonly skipped_steps: number } {
    const recent = this.#losses.slice(-count);
    return { train_loss: recent.reduce((a, b) => a + b, 0) / recent.length, skipped_steps: this.#skipped };
  }
}
