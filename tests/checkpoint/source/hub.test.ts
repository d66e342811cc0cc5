import { memoryCache } from "../../../src/checkpoint/source/hub_cache.ts";
import { test } from "../../harness.ts";
import { HUB_CONTRACT } from "./hub_contract.ts";

for (const [name, row] of Object.entries(HUB_CONTRACT)) {
  const cache = memoryCache();
  test(`hub, cache in memory: ${name}`, () => row(() => Promise.resolve(cache)));
}
