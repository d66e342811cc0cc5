// Deno's side of the benchmark: takes a plan as its argument, prints the report as its last line.

import { type Plan, runBlocks } from "./blocks.ts";

console.log(JSON.stringify(await runBlocks(JSON.parse(Deno.args[0]!) as Plan)));
Deno.exit(0); // open devices would keep it running
