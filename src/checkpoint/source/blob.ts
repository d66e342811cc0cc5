import type { ByteSource, Folder } from "./source.ts";

/** The bytes of a Blob: a file that a page was given, or one in memory. Only the requested bytes are read. */
export function blobSource(name: string, blob: Blob): ByteSource {
  return {
    name,
    size: blob.size,
    async read(start, end) {
      if (!(0 <= start && start <= end && end <= blob.size)) {
        throw new RangeError(`Cannot read bytes ${start} to ${end} of ${name}: it has ${blob.size}`);
      }
      try {
        return new Uint8Array(await blob.slice(start, end).arrayBuffer());
      } catch (error) {
        // A page's file is a promise: NotReadableError or NotFoundError once the file on the disk is another.
        throw new RangeError(
          `Cannot read bytes ${start} to ${end} of ${name}: ${
            (error as Error).message
          }. Choose the file again, it may have changed`,
        );
      }
    },
  };
}

/** Files as a page gets them, by their path in the chosen folder; files that were chosen one by one have no folder. */
export function chosenFiles(
  files: readonly File[],
): { readonly name: string; readonly files: ReadonlyMap<string, File> } {
  const folder = (files[0]?.webkitRelativePath ?? "").split("/")[0]!;
  const pathOf = (file: File): string => (folder === "" ? file.name : file.webkitRelativePath.slice(folder.length + 1));
  return { name: folder || "chosen files", files: new Map(files.map((file) => [pathOf(file), file])) };
}

/** Files that a page was given or that are in memory, by their name in the folder. */
export function filesFolder(name: string, files: ReadonlyMap<string, Blob>): Folder {
  return {
    name,
    open(path) {
      const blob = files.get(path);
      return Promise.resolve(blob ? blobSource(`${name}/${path}`, blob) : null);
    },
  };
}
