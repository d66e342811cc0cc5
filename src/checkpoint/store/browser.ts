import { openDatabaseSlots } from "./indexed_db.ts";
import { openOriginSlots } from "./opfs.ts";
import { hasOriginFiles } from "./origin_files.ts";
import { openSlots } from "./slots.ts";
import type { CheckpointStore } from "./store.ts";

/**
 * The checkpoints of a run in the browser's storage: files if this thread can write them (a dedicated Worker), else a
 * database. Neither sees the other's, so a run always opens in the same kind of thread.
 * @param run any name. @param keep number of the newest to keep.
 * @throws RunInUseError, StorageFullError
 */
export async function openBrowserStore(run: string, keep: number): Promise<CheckpointStore> {
  // Request that the browser not evict the origin when space is short, without waiting: it may prompt the user. Workers
  // have no such call.
  navigator.storage.persist?.().catch(() => {});
  return await openSlots(run, await hasOriginFiles() ? openOriginSlots : openDatabaseSlots, keep);
}
