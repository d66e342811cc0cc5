import { directoryHandle } from "../checkpoint/model/directory_handle.ts";
import { filesFolder } from "../checkpoint/source/blob.ts";
import type { Folder } from "../checkpoint/source/source.ts";

/**
 * The place of a model, a tokenizer or an adapter: the name of a repository on the hub ("owner/name"), the files of a
 * folder as a page gets them, the handle of a folder, or any other folder, such as `directory(path)` of scrimp/deno.
 * Files of the hub are kept in the browser's storage where a Worker reads them; in Deno, `openFolder` keeps them on the
 * disk.
 */
export type ModelSource = string | Iterable<File> | FileSystemDirectoryHandle | Folder;

/**
 * Opens the folder of a model.
 * @param revision a branch, tag or commit of a repository on the hub.
 * @throws RangeError if the hub has no such repository; HubUnreachableError.
 */
export async function openSource(source: ModelSource, revision = "main"): Promise<Folder> {
  if (typeof source === "string") return await openRepository(source, revision);
  if ("open" in source) return source;
  return "getFileHandle" in source ? directoryHandle(source) : folderOf([...source]);
}

/** The reader of the hub is loaded once somebody names a repository. */
async function openRepository(name: string, revision: string): Promise<Folder> {
  const [{ hubFolder }, { browserCache }] = await Promise.all([
    import("../checkpoint/source/hub.ts"),
    import("../checkpoint/source/hub_cache_browser.ts"),
  ]);
  return await hubFolder(name, { revision, cache: await browserCache() });
}

/** Files as a page gets them: with the path from the chosen folder, or each by itself. */
function folderOf(files: readonly File[]): Folder {
  const folder = (files[0]?.webkitRelativePath ?? "").split("/")[0]!;
  const pathOf = (file: File): string => (folder === "" ? file.name : file.webkitRelativePath.slice(folder.length + 1));
  return filesFolder(folder || "chosen files", new Map(files.map((file) => [pathOf(file), file])));
}
