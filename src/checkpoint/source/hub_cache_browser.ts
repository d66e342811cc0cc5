import {
  hasOriginFiles,
  originFolder,
  readOriginFile,
  removeOriginFile,
  writeOriginFile,
} from "../store/origin_files.ts";
import { StorageFullError } from "../store/store.ts";
import { blobSource } from "./blob.ts";
import { type HubCache, memoryCache } from "./hub_cache.ts";

/** A cache in files of the origin if this thread can write them (a dedicated Worker), else in memory. */
export async function browserCache(): Promise<HubCache> {
  return await hasOriginFiles() ? originCache() : memoryCache();
}

function originCache(): HubCache {
  const place = async (name: string): Promise<[folder: FileSystemDirectoryHandle, file: string]> => {
    const parts = name.split("/"), file = parts.pop()!;
    return [await originFolder("scrimp", "hub", ...parts), file];
  };
  const fileOf = async (name: string): Promise<File | null> => readOriginFile(...await place(name));
  // Tabs take turns at a file: a handle that writes is exclusive, and a file that has changed since it was opened
  // cannot be read.
  const inTurn = <T>(name: string, mode: LockMode, work: () => Promise<T>): Promise<T> =>
    navigator.locks.request(`scrimp hub ${name}`, { mode }, work) as Promise<T>;
  const write = (name: string, bytes: Uint8Array, start: number, truncate: boolean): Promise<void> =>
    inTurn(name, "exclusive", async () => writeOriginFile(...await place(name), [bytes], start, truncate)).catch(
      refuse,
    );
  return {
    name: "the browser's storage",
    size: async (name) => (await fileOf(name))?.size ?? null,
    read: (name, start, end) =>
      inTurn(name, "shared", async () => {
        const file = await fileOf(name);
        if (file === null) {
          throw new RangeError(`Cannot read ${name} in the browser's storage: it is gone. Start again`);
        }
        return await blobSource(name, file).read(start, end);
      }),
    write: (name, start, bytes) => write(name, bytes, start, false),
    replace: (name, text) => write(name, new TextEncoder().encode(text), 0, true),
    remove: async (name) => removeOriginFile(...await place(name)),
  };
}

function refuse(error: Error): never {
  if (error.name !== "QuotaExceededError") throw error;
  throw new StorageFullError(
    "Cannot keep files of the hub: the browser gives this page no more space. Free some, or take a smaller model",
    { cause: error },
  );
}
