// Everything that the benchmark can measure. The same code in Deno and in a page.

import { type BlocksTask, runBlocks } from "./blocks.ts";
import { type KernelsTask, measureKernels } from "./kernels.ts";
import { measureOptimizers, type OptimizersTask } from "./optimizers.ts";
import type { AskPyTorch } from "./pytorch.ts";
import { measureRefresh, type RefreshTask } from "./refresh.ts";
import { measureSteadyState, type SteadyTask } from "./steady.ts";

/** Sent by run.mjs as JSON. */
export type Task = BlocksTask | SteadyTask | KernelsTask | OptimizersTask | RefreshTask;

/** Facts that only the runtime itself can tell. */
export interface Host {
  /** JavaScript heap in use. */
  heapBytes(): number;
  /** Memory of the process, with everything that is not JavaScript's. Where that can be asked. */
  residentBytes?(): number;
  /** Asks PyTorch, which has a process of its own. */
  askPyTorch: AskPyTorch;
}

export function runTask(task: Task, host: Host): Promise<unknown> {
  switch (task.measurement) {
    case "trainers":
      return runBlocks(task, host.askPyTorch);
    case "steady":
      return measureSteadyState(task, host);
    case "kernels":
      return measureKernels(task);
    case "optimizers":
      return measureOptimizers(task);
    case "refresh":
      return measureRefresh(task);
    default:
      throw new TypeError(
        `Cannot measure "${(task satisfies never as Task).measurement}": there is no such measurement`,
      );
  }
}
