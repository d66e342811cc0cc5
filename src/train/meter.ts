import type { Counters } from "../plan/counters.ts";

/** Time spent on steps, without evaluation and samples. The first reading is left out: it holds the warm-up. */
export class Stopwatch {
  #begun: number | undefined;
  #milliseconds = 0;
  #steps = 0;
  #readings = 0;

  start(): void {
    this.#begun ??= performance.now();
  }

  stop(steps: number): void {
    if (this.#readings++ === 1) this.#milliseconds = this.#steps = 0;
    this.#milliseconds += performance.now() - this.#begun!;
    this.#steps += steps;
    this.#begun = undefined;
  }

  get millisecondsPerStep(): number {
    return this.#milliseconds / this.#steps;
  }
}

/** Counts of WebGPU calls in one step. */
export interface StepCounts {
  /** Command buffers submitted. */
  readonly submits_per_step: number;
  /** Kernels launched. */
  readonly dispatches_per_step: number;
  /** GPU buffers made. */
  readonly buffers_created_per_step: number;
  /** Bind groups made. */
  readonly bind_groups_created_per_step: number;
  /** Kernels compiled. */
  readonly pipelines_created_per_step: number;
}

/** Counts what steps, and only they, ask of WebGPU. */
export class Meter {
  readonly #counters: Counters;
  readonly #sums = { submits: 0, dispatches: 0, buffersCreated: 0, bindGroupsCreated: 0, pipelinesCreated: 0 };
  #steps = 0;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  measure(step: () => void): void {
    const before = { ...this.#counters };
    step();
    this.#steps++;
    for (const key of Object.keys(before) as (keyof typeof before)[]) {
      this.#sums[key] += this.#counters[key] - before[key];
    }
  }

  perStep(): StepCounts {
    const { submits, dispatches, buffersCreated, bindGroupsCreated, pipelinesCreated } = this.#sums;
    return {
      submits_per_step: submits / this.#steps,
      dispatches_per_step: dispatches / this.#steps,
      buffers_created_per_step: buffersCreated / this.#steps,
      bind_groups_created_per_step: bindGroupsCreated / this.#steps,
      pipelines_created_per_step: pipelinesCreated / this.#steps,
    };
  }
}
