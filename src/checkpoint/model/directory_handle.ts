import { blobSource } from "../source/blob.ts";
import { isInside } from "../source/path.ts";
import type { Folder } from "../source/source.ts";
import { piecesOf, type WritableFolder } from "./save.ts";

/**
 * A folder that a page was given by showDirectoryPicker(), or one of its own storage. Each file is written whole or not
 * at all, and config.json last, so that a folder whose writing was cut short is no model.
 */
export const directoryHandle = (handle: FileSystemDirectoryHandle): Folder & WritableFolder => ({
  name: handle.name || "folder",
  async open(path) {
    if (!isInside(path)) {
      throw new RangeError(`Cannot open ${JSON.stringify(path)}: expected the name of a file below ${handle.name}`);
    }
    const file = await fileIn(handle, path);
    return file && blobSource(`${handle.name}/${path}`, file);
  },
  async write(files) {
    for (const [name, contents] of [...files].reverse()) {
      const stream = await (await handle.getFileHandle(name, { create: true })).createWritable();
      try {
        for await (const piece of piecesOf(contents)) await stream.write(piece);
      } catch (error) {
        await stream.abort();
        throw error;
      }
      await stream.close();
    }
  },
});

/** Null if there is none. */
async function fileIn(folder: FileSystemDirectoryHandle, path: string): Promise<File | null> {
  const folders = path.split("/"), name = folders.pop()!;
  try {
    let inner = folder;
    for (const part of folders) inner = await inner.getDirectoryHandle(part);
    return await (await inner.getFileHandle(name)).getFile();
  } catch (error) {
    if (["NotFoundError", "TypeMismatchError"].includes((error as Error).name)) return null;
    throw error;
  }
}
