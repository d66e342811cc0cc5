import type { FolderFiles, Gpu } from "../src/index.ts";
import { type FineTuning, resultFiles, resultKinds, type Run, type Trainer } from "../src/exports/train.ts";
import type { ResultFiles } from "./protocol.ts";

/** The trained model of a run: on the GPU, until it is destroyed. */
export class Trained {
  readonly #gpu: Gpu;
  readonly #run: Run;
  readonly #trainer: Trainer;
  readonly #fineTuning: FineTuning | undefined;

  constructor(gpu: Gpu, run: Run, trainer: Trainer, fineTuning: FineTuning | undefined) {
    [this.#gpu, this.#run, this.#trainer, this.#fineTuning] = [gpu, run, trainer, fineTuning];
  }

  /** Files to take away. */
  get files(): ResultFiles[] {
    return resultKinds(this.#run).map((kind) => ({ kind, names: [...this.#filesOf(kind).keys()] }));
  }

  /** Reads one file's tensors from the GPU, each into a Blob of its own: this thread's memory never holds the whole. */
  async read(kind: ResultFiles["kind"], name: string): Promise<Blob> {
    // Reads of a lost device never settle.
    return await Promise.race([this.#blobOf(kind, name), this.#gpu.lost.then((error) => Promise.reject(error))]);
  }

  async #blobOf(kind: ResultFiles["kind"], name: string): Promise<Blob> {
    const contents = this.#filesOf(kind).get(name);
    if (!contents) throw new RangeError(`Cannot make ${name}: it is no file of this ${kind}`);
    if (contents instanceof Uint8Array) return new Blob([contents]);
    const parts: Blob[] = [];
    for await (const piece of contents) parts.push(new Blob([piece]));
    return new Blob(parts);
  }

  #filesOf(kind: ResultFiles["kind"]): FolderFiles {
    return resultFiles(kind, this.#run, this.#trainer.executor, this.#fineTuning);
  }

  destroy(): void {
    this.#trainer.destroy();
    this.#gpu.device.destroy();
  }
}
