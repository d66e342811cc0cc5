/**
 * Files of the hub that were read before, whole or in part. Names are relative, with "/" between folders; `isInside`
 * (path.ts) holds for them.
 */
export interface HubCache {
  /** Name for messages. */
  readonly name: string;
  /** Bytes of the file, null if there is none. */
  size(name: string): Promise<number | null>;
  /** Reads bytes of a file. @throws RangeError if they are not there. */
  read(name: string, start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Writes bytes at their place, and has them on the disk when it resolves. The file and its folders are made if
   * absent.
   * @throws StorageFullError
   */
  write(name: string, start: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /**
   * Replaces a small file by this text: a reader finds the old one or the new one, or no valid JSON.
   * @throws StorageFullError
   */
  replace(name: string, text: string): Promise<void>;
  /** Removes a file; no error if there is none. */
  remove(name: string): Promise<void>;
}

/** The JSON object of a small file, null if it is absent or torn. */
export async function readCachedJson(cache: HubCache, name: string): Promise<Readonly<Record<string, unknown>> | null> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(await cache.read(name, 0, (await cache.size(name))!)));
    return typeof value === "object" && value !== null ? value as Readonly<Record<string, unknown>> : null;
  } catch {
    return null;
  }
}

/** Files in memory, for a page's own thread, which cannot write files. It forgets them with the page. */
export function memoryCache(): HubCache {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const write = (name: string, start: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> => {
    let file = files.get(name) ?? new Uint8Array(0);
    if (file.length < start + bytes.length) {
      const longer = new Uint8Array(start + bytes.length);
      longer.set(file);
      files.set(name, file = longer);
    }
    file.set(bytes, start);
    return Promise.resolve();
  };
  return {
    name: "memory",
    size: (name) => Promise.resolve(files.get(name)?.length ?? null),
    read(name, start, end) {
      const file = files.get(name);
      if (!file || end > file.length) {
        return Promise.reject(
          new RangeError(`Cannot read bytes ${start} to ${end} of ${name} in memory: it has ${file?.length ?? 0}`),
        );
      }
      return Promise.resolve(file.slice(start, end));
    },
    write,
    replace(name, text) {
      files.delete(name);
      return write(name, 0, new TextEncoder().encode(text));
    },
    remove(name) {
      files.delete(name);
      return Promise.resolve();
    },
  };
}
