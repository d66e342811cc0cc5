// The origin private file system: a browser's files of one origin. They are written through synchronous handles, which
// only a dedicated Worker has: these write in place and reach the disk at flush(), while createWritable() copies a file
// for each change of it.

/** True if files can be written here: not in a page itself, and in some browsers not in a private window. */
export async function hasOriginFiles(): Promise<boolean> {
  if (typeof FileSystemFileHandle === "undefined" || !("createSyncAccessHandle" in FileSystemFileHandle.prototype)) {
    return false;
  }
  return await navigator.storage.getDirectory().then(() => true, () => false);
}

/** The folder, made if absent. */
export async function originFolder(...path: readonly string[]): Promise<FileSystemDirectoryHandle> {
  let folder = await navigator.storage.getDirectory();
  for (const name of path) folder = await folder.getDirectoryHandle(name, { create: true });
  return folder;
}

/** A file; null if there is none. */
export async function readOriginFile(folder: FileSystemDirectoryHandle, name: string): Promise<File | null> {
  return await folder.getFileHandle(name).then((handle) => handle.getFile()).catch((error) => absent(error, null));
}

/**
 * Writes from byte `start` on, and has it on the disk when it resolves. The file is made if absent, and ends after
 * these bytes if `truncate`.
 * @throws DOMException QuotaExceededError
 */
export async function writeOriginFile(
  folder: FileSystemDirectoryHandle,
  name: string,
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  start = 0,
  truncate = true,
): Promise<void> {
  const handle = await (await folder.getFileHandle(name, { create: true })).createSyncAccessHandle();
  try {
    if (truncate) handle.truncate(start);
    for await (const chunk of bytes) start += writeAll(handle, chunk, start);
    handle.flush();
  } finally {
    handle.close();
  }
}

function writeAll(handle: FileSystemSyncAccessHandle, chunk: Uint8Array, start: number): number {
  for (let at = 0; at < chunk.length;) {
    const count = handle.write(chunk.subarray(at) as Uint8Array<ArrayBuffer>, { at: start + at });
    // The standard lets a browser write a part and stop when the space ends.
    if (count === 0) throw new DOMException("nothing more could be written", "QuotaExceededError");
    at += count;
  }
  return chunk.length;
}

/** Removes a file; no error if there is none. */
export async function removeOriginFile(folder: FileSystemDirectoryHandle, name: string): Promise<void> {
  await folder.removeEntry(name).catch((error) => absent(error, undefined));
}

function absent<T>(error: Error, value: T): T {
  if (error.name === "NotFoundError") return value;
  throw error;
}
