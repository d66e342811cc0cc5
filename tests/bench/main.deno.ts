// Deno's side of the benchmark: takes a task as its argument, prints the report as its last line.

import { openPyTorch } from "./pytorch.mjs";
import { type Host, runTask, type Task } from "./tasks.ts";

try {
  const task = JSON.parse(Deno.args[0]!) as Task;
  const pytorch = openPyTorch("pytorch" in task ? task.pytorch?.command : undefined);
  const host: Host = {
    heapBytes: () => Deno.memoryUsage().heapUsed,
    residentBytes: () => Deno.memoryUsage().rss,
    askPyTorch: pytorch.ask,
  };
  console.log(JSON.stringify(await runTask(task, host)));
} catch (error) {
  console.log(JSON.stringify({ failure: error instanceof Error ? error.message : String(error) }));
}
Deno.exit(0); // open devices would keep it running
