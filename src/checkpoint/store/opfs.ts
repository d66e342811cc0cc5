import { originFolder, readOriginFile, removeOriginFile, writeOriginFile } from "./origin_files.ts";
import type { Slots } from "./slots.ts";

/** Slots as files of the origin private file system, in a dedicated Worker. */
export async function openOriginSlots(run: string): Promise<Slots> {
  // The name is encoded, and never "." or "..", which are no names there.
  const folder = await originFolder("scrimp", "runs", `run ${encodeURIComponent(run)}`);
  return {
    names: () => Array.fromAsync(folder.keys()),
    read: (name) => readOriginFile(folder, name),
    write: (name, bytes) => writeOriginFile(folder, name, bytes),
    // A Worker that was terminated may hold its file a moment longer: it goes with a later save.
    remove: (name) =>
      removeOriginFile(folder, name).catch((error) =>
        error.name === "NoModificationAllowedError" ? undefined : Promise.reject(error)
      ),
    close: () => {},
  };
}
