import type { Guard } from "../gpu/loss.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { bytesOf } from "../plan/tensor.ts";
import type { Listener, TrainEvent } from "./events.ts";
import type { Remapping } from "./layout.ts";
import type { Run } from "../recipe/run.ts";
import { persistentTensors, type Trainer, type TrainingState } from "./trainer.ts";

/**
 * A state is kept in memory when this share of the time since the last one pays for it, but not more often than that.
 */
const SHARE_OF_TIME = 0.01, LEAST_SECONDS = 10;

/** States beyond this are kept only where they are to be saved: two of them are in memory while one is read. */
const MOST_BYTES = 512 * 2 ** 20;

/** What an earlier run has got to, and how it fits this one if it trained something else. */
export interface Resumed {
  readonly state: TrainingState;
  readonly remapping?: Remapping | undefined;
}

/** What a run has told and kept: it outlives the device. Steps that are made again after a loss are not told again. */
export class Progress {
  readonly #emit: Listener;
  readonly #data: Run["data"];
  readonly #optimizer: Optimizer;
  /** Of the optimizer before the first step. */
  readonly #initial: ReturnType<Optimizer["save"]>;
  readonly #told = new Map<TrainEvent["type"], number>();
  readonly #losses: number[] = [];
  #skipped = 0;
  #ended = false;
  #kept: TrainingState | undefined;
  /** Of the state, as long as it is the one that was loaded. */
  #remapping: Remapping | undefined;
  #keptAt = performance.now();
  #cost = 0;
  /** Step of the last state that the listener was given to save. */
  #saved = 0;

  /** Whether checkpoints are wanted. */
  readonly #saves: boolean;
  /** Of a state. */
  readonly #bytes: number;

  constructor({ programs, data, config }: Run, emit: Listener, resumed: Resumed | undefined) {
    this.#emit = emit;
    this.#data = data;
    if (resumed?.state.position) data.resume(resumed.state.position);
    this.#optimizer = programs.train!.optimizer;
    this.#initial = this.#optimizer.save();
    this.#saves = config.save_steps > 0;
    this.#bytes = persistentTensors(programs).reduce((sum, tensor) => sum + bytesOf(tensor), 0);
    this.#kept = resumed?.state;
    this.#remapping = resumed?.remapping;
  }

  /** The last step that was told. */
  get furthest(): number {
    return this.#told.get("step") ?? 0;
  }

  /** Tells the listener, unless it has heard of it. */
  async emit(event: TrainEvent): Promise<void> {
    if (event.type === "end") {
      if (this.#ended) return;
      this.#ended = true;
    }
    if ("step" in event && event.type !== "recovered") {
      if (event.step <= (this.#told.get(event.type) ?? 0)) return;
      this.#told.set(event.type, event.step);
    }
    if (event.type === "step") {
      this.#losses.push(event.loss);
      this.#skipped += event.skipped ? 1 : 0;
    }
    await this.#emit(event);
  }

  /** Puts a new trainer where the last state that was kept is. */
  restore(trainer: Trainer): void {
    // What a lost device has done to the optimizer's switches is undone first: a remapping begins from there.
    this.#optimizer.restore(this.#initial);
    if (this.#kept) trainer.restore(this.#kept, this.#remapping);
  }

  async recovered(): Promise<void> {
    await this.emit({ type: "recovered", step: this.#kept?.step ?? 0 });
  }

  /** Keeps the state in memory, now and then while it is small, or because it is to be saved. */
  async keep(trainer: Trainer, guard: Guard, save: boolean): Promise<void> {
    const seconds = (performance.now() - this.#keptAt) / 1000,
      isDue = seconds >= Math.max(LEAST_SECONDS, this.#cost / SHARE_OF_TIME);
    if (save || (isDue && this.#bytes <= MOST_BYTES)) await this.#keep(trainer, guard, save);
  }

  /** Keeps the state that the run ends with. */
  async keepLast(trainer: Trainer, guard: Guard, save: boolean): Promise<void> {
    if (this.#kept?.step !== trainer.steps) await this.#keep(trainer, guard, save);
    else if (save) await this.#save();
  }

  /** Gives the listener the state in memory, if it is newer than what it has saved. */
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
