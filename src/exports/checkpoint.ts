/**
 * Files: safetensors, folders of models and adapters in and out, the hub, and the checkpoints of a run in a browser.
 *
 * @module
 */
export { loadWeights } from "../checkpoint/model/load.ts";
export { adapterFiles, type AdapterToSave, loadAdapter, readAdapterConfig } from "../checkpoint/model/peft_adapter.ts";
export { directoryHandle } from "../checkpoint/model/directory_handle.ts";
export { type FileIdentity, openPretrained, type Pretrained, readModelConfig } from "../checkpoint/model/pretrained.ts";
export {
  type FileContents,
  type FolderFiles,
  modelFiles,
  type ModelToSave,
  piecesOf,
  type WritableFolder,
} from "../checkpoint/model/save.ts";
export { type Dtype, DTYPE_BITS } from "../checkpoint/safetensors/dtype.ts";
export type { Metadata, TensorEntry } from "../checkpoint/safetensors/header.ts";
export { openCheckpoint, openSafetensors, type TensorFile } from "../checkpoint/safetensors/reader.ts";
export {
  encodeSafetensors,
  type TensorData,
  type TensorToWrite,
  writeSafetensors,
} from "../checkpoint/safetensors/writer.ts";
export { blobSource, chosenFiles, filesFolder } from "../checkpoint/source/blob.ts";
export { type HubFolder, hubFolder, type HubOptions, isRepository } from "../checkpoint/source/hub.ts";
export { type HubCache, memoryCache } from "../checkpoint/source/hub_cache.ts";
export { browserCache } from "../checkpoint/source/hub_cache_browser.ts";
export { HubUnreachableError, type Pause } from "../checkpoint/source/hub_fetch.ts";
export type { ByteSource, Folder } from "../checkpoint/source/source.ts";
export { openBrowserStore } from "../checkpoint/store/browser.ts";
export { type CheckpointStore, RunInUseError, StorageFullError } from "../checkpoint/store/store.ts";
