// The hub with a cache of files in the browser's storage.

import { type Remote, wrap } from "comlink";
import { browserCache } from "../../../src/checkpoint/source/hub_cache_browser.ts";
import { assertEquals, test } from "../../harness.ts";
import { HUB_CONTRACT } from "./hub_contract.ts";
import type { HubWorker } from "./hub_worker.ts";

let thread: Remote<HubWorker> | undefined;
const worker = (): Remote<HubWorker> =>
  thread ??= wrap<HubWorker>(new Worker(new URL("./hub_worker.ts", import.meta.url), { type: "module" }));

for (const name of Object.keys(HUB_CONTRACT)) {
  test(`hub, cache in files: ${name}`, async () => assertEquals(await worker().row(name), "the browser's storage"));
}

test("a page's own thread keeps what it reads in memory", async () =>
  assertEquals((await browserCache()).name, "memory"));
