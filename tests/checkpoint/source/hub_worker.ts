// Files of the origin can be written in a dedicated Worker only.

import { expose } from "comlink";
import { browserCache } from "../../../src/checkpoint/source/hub_cache_browser.ts";
import { HUB_CONTRACT } from "./hub_contract.ts";

const worker = {
  async row(name: string): Promise<string> {
    const root = await navigator.storage.getDirectory(),
      scrimp = await root.getDirectoryHandle("scrimp", { create: true });
    await scrimp.removeEntry("hub", { recursive: true }).catch(() => {}); // it is not there the first time
    await HUB_CONTRACT[name]!(browserCache);
    return (await browserCache()).name;
  },
};

export type HubWorker = typeof worker;
expose(worker);
