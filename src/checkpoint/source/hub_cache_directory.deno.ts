import { StorageFullError } from "../store/store.ts";
import type { HubCache } from "./hub_cache.ts";

/** The folder of the cache: SCRIMP_CACHE, or the user's cache folder. */
export function defaultCacheFolder(environment: { get(name: string): string | undefined } = Deno.env): string {
  const home = environment.get("HOME") ?? environment.get("USERPROFILE") ?? ".";
  return environment.get("SCRIMP_CACHE") || `${environment.get("XDG_CACHE_HOME") || `${home}/.cache`}/scrimp/hub`;
}

/** A cache in files of a folder, which several processes may use at once. */
export function directoryCache(path: string): HubCache {
  const pathOf = async (name: string): Promise<string> => {
    const file = `${path}/${name}`;
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    return file;
  };
  const writing = <T>(work: Promise<T>): Promise<T> => work.catch((error) => refuse(path, error));

  async function write(name: string, start: number, bytes: Uint8Array): Promise<void> {
    using file = await Deno.open(await pathOf(name), { create: true, write: true });
    await file.seek(start, Deno.SeekMode.Start);
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await file.syncData();
  }
  async function replace(name: string, text: string): Promise<void> {
    const file = await pathOf(name), temporary = `${file}.${crypto.randomUUID()}`;
    try {
      await Deno.writeTextFile(temporary, text);
      await Deno.rename(temporary, file);
    } catch (error) {
      await Deno.remove(temporary).catch(() => {}); // it may not have been made
      throw error;
    }
  }
  return {
    name: path,
    size: (name) => Deno.stat(`${path}/${name}`).then(({ size }) => size, () => null),
    read: (name, start, end) => read(`${path}/${name}`, new Uint8Array(end - start), start),
    write: (name, start, bytes) => writing(write(name, start, bytes)),
    replace: (name, text) => writing(replace(name, text)),
    remove: (name) =>
      Deno.remove(`${path}/${name}`).catch((error) =>
        error instanceof Deno.errors.NotFound ? undefined : refuse(path, error)
      ),
  };
}

async function read(path: string, bytes: Uint8Array<ArrayBuffer>, start: number): Promise<Uint8Array<ArrayBuffer>> {
  try {
    using file = await Deno.open(path);
    await file.seek(start, Deno.SeekMode.Start);
    for (let at = 0; at < bytes.length;) {
      const count = await file.read(bytes.subarray(at));
      if (count === null) throw new RangeError(`it ends ${bytes.length - at} bytes early`);
      at += count;
    }
    return bytes;
  } catch (error) {
    throw new RangeError(`Cannot read ${path}: ${(error as Error).message}. Start again`, { cause: error });
  }
}

function refuse(path: string, error: Error & { code?: string }): never {
  if (error.code === "ENOSPC" || error.code === "EDQUOT") {
    throw new StorageFullError(
      `Cannot keep files of the hub in ${path}: the disk is full. Free some space, or set SCRIMP_CACHE to another ` +
        "folder",
      { cause: error },
    );
  }
  throw new RangeError(
    `Cannot keep files of the hub in ${path}: ${error.message}. Set SCRIMP_CACHE to a folder that this user may ` +
      "write to",
    { cause: error },
  );
}
