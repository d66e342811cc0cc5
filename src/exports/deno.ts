/**
 * Access to a disk, in Deno: folders, datasets, the hub with a cache, and the checkpoints of a run.
 *
 * @module
 */
export { readDataset } from "../api/read_dataset.deno.ts";
export { directory } from "../checkpoint/model/directory.deno.ts";
export type { FileContents, FolderFiles, WritableFolder } from "../checkpoint/model/save.ts";
export { openFile } from "../checkpoint/source/directory.deno.ts";
export { defaultCacheFolder, directoryCache } from "../checkpoint/source/hub_cache_directory.deno.ts";
export type { HubCache } from "../checkpoint/source/hub_cache.ts";
export { openFolder } from "../checkpoint/source/open_folder.deno.ts";
export type { ByteSource, Folder } from "../checkpoint/source/source.ts";
export { openDirectoryStore } from "../checkpoint/store/directory.deno.ts";
export type { CheckpointStore } from "../checkpoint/store/store.ts";
export type { DatasetFiles } from "../recipe/data.ts";
