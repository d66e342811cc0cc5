// A folder in memory: what one call saves, another reads.

import { blobSource, filesFolder } from "../../src/checkpoint/source/blob.ts";
import type { Folder } from "../../src/checkpoint/source/source.ts";
import { piecesOf, type WritableFolder } from "../../src/checkpoint/model/save.ts";

export interface MemoryFolder extends Folder, WritableFolder {
  readonly files: Map<string, File>;
}

export function memoryFolder(name: string): MemoryFolder {
  const files = new Map<string, File>();
  return {
    ...filesFolder(name, files),
    files,
    async write(contents) {
      for (const [file, content] of contents) files.set(file, new File(await Array.fromAsync(piecesOf(content)), file));
    },
  };
}

export const textOf = (folder: MemoryFolder, file: string): Promise<string> => folder.files.get(file)!.text();

/** The same folder, which counts what is read of it. */
export function countedFolder(folder: MemoryFolder, onRead: (bytes: number) => void): Folder {
  return {
    name: folder.name,
    open(path) {
      const file = folder.files.get(path);
      if (!file) return Promise.resolve(null);
      const source = blobSource(path, file);
      return Promise.resolve({
        ...source,
        read(start, end) {
          onRead(end - start);
          return source.read(start, end);
        },
      });
    },
  };
}
