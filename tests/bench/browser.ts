// The page's side of the benchmark: launch.mjs calls `runTask` through the page.

import type { AskPyTorch } from "./pytorch.ts";
import { type Host, runTask, type Task } from "./tasks.ts";

declare global {
  /** Answered by launch.mjs. */
  var askPyTorch: AskPyTorch;
  var benchmark: ((task: Task) => Promise<unknown>) | undefined;
  interface Performance {
    /** Chromium alone. Exact with --enable-precise-memory-info, else rounded and up to 20 minutes old. */
    readonly memory: { readonly usedJSHeapSize: number };
  }
}

const host: Host = {
  heapBytes: () => performance.memory.usedJSHeapSize,
  askPyTorch: (request) => globalThis.askPyTorch(request),
};
globalThis.benchmark = (task) =>
  runTask(task, host).catch((error: unknown) => ({ failure: error instanceof Error ? error.message : String(error) }));
