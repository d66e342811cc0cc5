import { directoryHandle } from "../checkpoint/model/directory_handle.ts";
import { chosenFiles, filesFolder } from "../checkpoint/source/blob.ts";
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
  if ("getFileHandle" in source) return directoryHandle(source);
  const { name, files } = chosenFiles([...source]);
  return filesFolder(name, files);
}

/** The reader of the hub is loaded once somebody names a repository. */
async function openRepository(name: string, revision: string): Promise<Folder> {
  const [{ hubFolder }, { browserCache }] = await Promise.all([
    import("../checkpoint/source/hub.ts"),
    import("../checkpoint/source/hub_cache_browser.ts"),
  ]);
  return await hubFolder(name, { revision, cache: await browserCache() });
}
