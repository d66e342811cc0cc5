import { directoryFolder } from "../source/directory.deno.ts";
import type { Folder } from "../source/source.ts";
import { syncFolder } from "../store/directory.deno.ts";
import { type FileContents, type FolderFiles, piecesOf, type WritableFolder } from "./save.ts";

/** A folder on the disk: one that is read, or a new one that is written whole or not at all. */
export const directory = (path: string): Folder & WritableFolder => ({
  ...directoryFolder(path),
  async write(files) {
    if (await holdsFiles(path)) {
      throw new RangeError(`Cannot write ${path}: it exists already and is not empty. Choose another folder`);
    }
    await writeFolder(path, files);
  },
});

async function holdsFiles(path: string): Promise<boolean> {
  try {
    for await (const _ of Deno.readDir(path)) return true;
    return false;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

/** Writes a folder whole or not at all: into a temporary neighbour, which is then renamed. */
export async function writeFolder(path: string, files: FolderFiles): Promise<void> {
  const temporary = `${path}.partial`;
  // A killed process may have left a folder there.
  await Deno.remove(temporary, { recursive: true }).catch(() => {});
  await Deno.mkdir(temporary, { recursive: true }).catch((error: Error) => {
    throw new RangeError(`Cannot write ${path}: the folder cannot be made (${error.message}). Choose another one`);
  });
  try {
    for (const [name, contents] of files) await writeFile(`${temporary}/${name}`, contents);
    await syncFolder(temporary);
    await Deno.rename(temporary, path);
    await syncFolder(path.replace(/[^/]*\/*$/, "") || ".");
  } catch (error) {
    await Deno.remove(temporary, { recursive: true });
    if ((error as { code?: string }).code === "ENOSPC") {
      throw new Error(
        `Cannot write ${path}: the disk is full. Free some space; a run that saved checkpoints goes on from the ` +
          "last one with --resume_from_checkpoint",
      );
    }
    throw error;
  }
}

/** Returns once the bytes are on the disk, not just with the system. */
async function writeFile(path: string, contents: FileContents): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  for await (const bytes of piecesOf(contents)) {
    for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
  }
  await file.syncData();
}
