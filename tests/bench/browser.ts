// The page's side of the benchmark: run.mjs calls `runBlocks` through the page.

import { runBlocks } from "./blocks.ts";

declare global {
  var benchmark: typeof runBlocks | undefined;
}

globalThis.benchmark = runBlocks;
