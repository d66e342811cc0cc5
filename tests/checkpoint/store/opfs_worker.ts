// Files of the origin can be written in a dedicated Worker only, so this one runs the rows of the tests, and is
// terminated by others.

import { expose } from "comlink";
import { openBrowserStore } from "../../../src/checkpoint/store/browser.ts";
import { openOriginSlots } from "../../../src/checkpoint/store/opfs.ts";
import { writeOriginFile } from "../../../src/checkpoint/store/origin_files.ts";
import { assertEquals, assertRejects } from "../../harness.ts";
import { assertHolds, bytesOf, CONTRACT, piecesOf } from "./contract.ts";
import { SLOTS_CONTRACT } from "./slots_contract.ts";

const worker = {
  row: (name: string, run: string): Promise<void> => CONTRACT[name]!((keep) => openBrowserStore(run, keep)),
  slotsRow: (name: string, run: string): Promise<void> => SLOTS_CONTRACT[name]!(run, openOriginSlots),

  async saveForEver(run: string, saved: (step: number) => void): Promise<void> {
    const store = await openBrowserStore(run, 2);
    for (let step = ((await store.list()).at(-1) ?? 0) + 1;; step++) {
      await store.save(step, piecesOf(bytesOf(step)));
      saved(step);
    }
  },

  /** The steps there, each of which is whole, and how many files are left over beside them. */
  async look(run: string): Promise<{ steps: number[]; over: number }> {
    const store = await openBrowserStore(run, 2);
    try {
      const steps = await store.list();
      await assertHolds(store, steps);
      return { steps, over: (await (await openOriginSlots(run)).names()).length - 2 * steps.length };
    } finally {
      await store.close();
    }
  },

  /** A browser may write a part of the bytes, or none, where the space ends. */
  async writesInParts(): Promise<void> {
    const folder = await navigator.storage.getDirectory(),
      name = "written in parts",
      prototype = FileSystemSyncAccessHandle.prototype,
      { write } = prototype;
    let space = 90_000;
    prototype.write = function (bytes, options) {
      const part = (bytes as Uint8Array<ArrayBuffer>).subarray(0, Math.min(1000, space));
      space -= part.length;
      return write.call(this, part, options);
    };
    try {
      await writeOriginFile(folder, name, [bytesOf(1, 40_000), bytesOf(2, 40_000)]);
      const file = await (await folder.getFileHandle(name)).getFile();
      const both = new Blob([bytesOf(1, 40_000), bytesOf(2, 40_000)]);
      assertEquals(await file.arrayBuffer(), await both.arrayBuffer());
      assertEquals(
        (await assertRejects(() => writeOriginFile(folder, name, [bytesOf(1, 40_000)]), "nothing more")).name,
        "QuotaExceededError",
      );
    } finally {
      prototype.write = write;
      await folder.removeEntry(name);
    }
  },
};

export type OriginWorker = typeof worker;
expose(worker);
