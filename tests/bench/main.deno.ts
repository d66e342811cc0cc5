// Deno's side of the benchmark: takes a task as its argument, prints the report as its last line.

import { type Host, runTask, type Task } from "./tasks.ts";

const host: Host = { heapBytes: () => Deno.memoryUsage().heapUsed, residentBytes: () => Deno.memoryUsage().rss };
try {
  console.log(JSON.stringify(await runTask(JSON.parse(Deno.args[0]!) as Task, host)));
} catch (error) {
  console.log(JSON.stringify({ failure: error instanceof Error ? error.message : String(error) }));
}
Deno.exit(0); // open devices would keep it running
