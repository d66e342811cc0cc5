import type { Guard } from "../gpu/loss.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Listener, TrainEvent } from "./events.ts";
import type { Remapping } from "./layout.ts";
import type { Run } from "./run.ts";
import type { Trainer, TrainingState } from "./trainer.ts";

/** A state is kept in memory when this share of the time since the last one pays for it, but not more often than that. */
const SHARE_OF_TIME = 0.01, LEAST_SECONDS = 10;

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
  #kept: TrainingState | undefined;
  /** Of the state, as long as it is the one that was loaded. */
  #remapping: Remapping | undefined;
  #keptAt = performance.now();
  #cost = 0;

  constructor({ programs, data }: Run, emit: Listener, resumed: Resumed | undefined) {
    this.#emit = emit;
    this.#data = data;
    if (resumed?.state.position) data.resume(resumed.state.position);
    this.#optimizer = programs.train!.optimizer;
    this.#initial = this.#optimizer.save();
    this.#kept = resumed?.state;
    this.#remapping = resumed?.remapping;
  }

  /** Tells the listener, unless it has heard of it. */
  async emit(event: TrainEvent): Promise<void> {
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
    if (this.#kept) trainer.restore(this.#kept, this.#remapping);
    else this.#optimizer.restore(this.#initial);
  }

  async recovered(): Promise<void> {
    await this.emit({ type: "recovered", step: this.#kept?.step ?? 0 });
  }

  /** Keeps the state in memory, now and then, or because it is to be saved. */
  async keep(trainer: Trainer, guard: Guard, save: boolean): Promise<void> {
    const begun = performance.now(), seconds = (begun - this.#keptAt) / 1000;
    if (!save && seconds < Math.max(LEAST_SECONDS, this.#cost / SHARE_OF_TIME)) return;
    const state = this.#kept = await guard(trainer.save(this.#data.position()));
    this.#remapping = undefined;
    this.#keptAt = performance.now();
    this.#cost = (this.#keptAt - begun) / 1000;
    if (save) await this.emit({ type: "checkpoint", step: state.step, state });
  }

  /** Mean loss of the last `count` steps, and how many updates were left out. */
  ofSteps(count: number): { readonly train_loss: number; readonly skipped_steps: number } {
    const recent = this.#losses.slice(-count);
    return { train_loss: recent.reduce((a, b) => a + b, 0) / recent.length, skipped_steps: this.#skipped };
  }
}
