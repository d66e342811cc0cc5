import { isInside } from "./path.ts";
import type { ByteSource, Folder } from "./source.ts";

/**
 * A folder on the disk. A file is opened again for each read, so that no handle outlives it and ten thousand shards
 * need one.
 * @throws RangeError with one line if a file leaves the folder, cannot be read, or changed since it was opened.
 */
export function directoryFolder(path: string): Folder {
  return {
    name: path,
    async open(name) {
      if (!isInside(name)) {
        throw new RangeError(`Cannot open ${JSON.stringify(name)}: expected the name of a file below ${path}`);
      }
      const file = `${path}/${name}`;
      const found = await Deno.stat(file).catch((error) => isAbsent(error) ? null : refuse(file, error));
      if (found === null) return await absent(path);
      if (!found.isFile) throw new RangeError(`Cannot read ${file}: it is not a file`);
      return fileSource(file, found);
    },
  };
}

/** True if there is a folder of this name. */
export const isFolder = (path: string): Promise<boolean> =>
  Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);

/** One file by its path; null if there is none in its folder. @throws RangeError like directoryFolder(). */
export async function openFile(path: string): Promise<ByteSource | null> {
  const slash = path.lastIndexOf("/"), folder = slash < 0 ? "." : path.slice(0, slash) || "/";
  return await directoryFolder(folder).open(path.slice(slash + 1));
}

const isAbsent = (error: unknown): boolean =>
  error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;

/** Null for an absent file, an error for an absent folder. */
async function absent(path: string): Promise<null> {
  const isThere = await Deno.stat(path).then(
    ({ isDirectory }) => isDirectory,
    (error) => isAbsent(error) ? false : refuse(path, error),
  );
  if (!isThere) {
    throw new RangeError(
      `Cannot read the folder ${path}: there is no such folder. Check the path, it is relative to ${Deno.cwd()}`,
    );
  }
  return null;
}

function fileSource(name: string, { size, mtime, ino }: Deno.FileInfo): ByteSource {
  return {
    name,
    size,
    async read(start, end) {
      if (!(0 <= start && start <= end && end <= size)) {
        throw new RangeError(`Cannot read bytes ${start} to ${end} of ${name}: it has ${size}`);
      }
      try {
        using file = await Deno.open(name);
        const now = await file.stat();
        if (now.size !== size || now.ino !== ino || now.mtime?.getTime() !== mtime?.getTime()) {
          throw new RangeError(`Cannot go on reading ${name}: the file has changed meanwhile. Start again`);
        }
        await file.seek(start, Deno.SeekMode.Start);
        return await fill(file, new Uint8Array(end - start), name);
      } catch (error) {
        return refuse(name, error);
      }
    },
  };
}

async function fill(file: Deno.FsFile, bytes: Uint8Array<ArrayBuffer>, name: string): Promise<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < bytes.length;) {
    const count = await file.read(bytes.subarray(at));
    if (count === null) {
      throw new RangeError(`Cannot go on reading ${name}: it ended ${bytes.length - at} bytes early. Start again`);
    }
    at += count;
  }
  return bytes;
}

function refuse(name: string, error: unknown): never {
  if (error instanceof RangeError) throw error;
  const reason = error instanceof Deno.errors.NotFound
    ? "it is gone"
    : error instanceof Deno.errors.PermissionDenied
    ? "this user may not read it"
    : (error as Error).message;
  throw new RangeError(`Cannot read ${name}: ${reason}`);
}
