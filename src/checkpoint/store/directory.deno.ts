import { directoryFolder } from "../source/directory.deno.ts";
import {
  checkKeep,
  type CheckpointStore,
  checkStep,
  noCheckpoint,
  RunInUseError,
  stepsToDrop,
  StorageFullError,
} from "./store.ts";

/** The name of a checkpoint's file. */
export const fileOf = (step: number): string => `checkpoint-${step}.safetensors`;
const FILE = /^checkpoint-(0|[1-9]\d*)\.safetensors$/;
const PARTIAL = /^checkpoint-\d+\.safetensors\.partial$/;

/**
 * The checkpoints of a run as files of a folder, which is made if it is absent. A checkpoint is written beside its
 * place, synced, renamed into it, and the folder synced: at no instant is there less than the last whole one.
 * @throws RunInUseError if another process has it open; a process that is killed lets go.
 */
export async function openDirectoryStore(folder: string, keep: number): Promise<CheckpointStore> {
  checkKeep(keep);
  await Deno.mkdir(folder, { recursive: true }).catch((error) => refuse(`Cannot keep checkpoints in ${folder}`, error));
  const lock = await lockFolder(folder);
  await syncFolder(`${folder}/..`); // the folder itself may be new
  const files = directoryFolder(folder);

  const list = (): Promise<number[]> => checkpointsIn(folder);
  const drop = async (steps: readonly number[]): Promise<void> => {
    for (const step of steps) await remove(`${folder}/${fileOf(step)}`);
  };
  return {
    list,
    async save(step, bytes) {
      checkStep(step);
      for (const name of await namesIn(folder)) if (PARTIAL.test(name)) await remove(`${folder}/${name}`);
      // A process that was killed after its rename has left one too many, and the next one would leave another.
      const earlier = (await list()).filter((other) => other < step);
      await drop(stepsToDrop(earlier, step, keep));
      await writeWhole(folder, fileOf(step), bytes);
      await drop(stepsToDrop(await list(), step, keep));
    },
    async open(step) {
      const source = await files.open(fileOf(step));
      if (source === null) throw noCheckpoint(folder, step, await list());
      return source;
    },
    close() {
      lock.close();
      return Promise.resolve();
    },
  };
}

/** Steps of the checkpoints in a folder, ascending. It needs no lock: a file of this name is whole. */
export const checkpointsIn = async (folder: string): Promise<number[]> =>
  (await namesIn(folder)).flatMap((name) => FILE.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b);

/**
 * Locks a folder. The kernel holds the lock for the open file, so that it goes with the process. The file stays: to
 * remove one that another is about to lock would give two locks.
 */
async function lockFolder(folder: string): Promise<Deno.FsFile> {
  const path = `${folder}/run.lock`;
  const file = await Deno.open(path, { create: true, write: true }).catch((error) =>
    refuse(`Cannot use the run in ${folder}`, error)
  );
  if (await file.tryLock(true)) return file;
  file.close();
  throw new RunInUseError(
    `Cannot use the run in ${folder}: another process does. Wait until it ends, or choose another folder`,
  );
}

async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) names.push(name);
  } catch (error) {
    refuse(`Cannot list the checkpoints in ${folder}`, error as Error);
  }
  return names;
}

async function writeWhole(
  folder: string,
  name: string,
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const path = `${folder}/${name}`, partial = `${path}.partial`;
  const onDisk = <T>(work: Promise<T>): Promise<T> => work.catch((error) => refuse(`Cannot write ${path}`, error));
  try {
    using file = await onDisk(Deno.open(partial, { createNew: true, write: true }));
    for await (const chunk of bytes) {
      for (let at = 0; at < chunk.length;) at += await onDisk(file.write(chunk.subarray(at)));
    }
    // Sync before the rename: a name that points to data still in memory is a torn file after a power failure.
    await onDisk(file.sync());
  } catch (error) {
    await remove(partial);
    throw error;
  }
  await onDisk(Deno.rename(partial, path)).catch(async (error) => {
    await remove(partial);
    throw error;
  });
  await onDisk(syncFolder(folder));
}

/** Syncs a folder, lest a power failure undo a rename. Windows has no such call: its directories are in a journal. */
export async function syncFolder(folder: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using directory = await Deno.open(folder);
  await directory.sync();
}

async function remove(path: string): Promise<void> {
  await Deno.remove(path).catch((error) =>
    error instanceof Deno.errors.NotFound ? undefined : refuse(`Cannot remove ${path}`, error)
  );
}

/** True for the error of a full disk: of the system, or of a user's share. */
export const isDiskFull = (error: unknown): boolean =>
  ["ENOSPC", "EDQUOT"].includes((error as { code?: string }).code ?? "");

function refuse(what: string, error: Error): never {
  if (isDiskFull(error)) {
    throw new StorageFullError(`${what}: the disk is full. Free some space; the checkpoints before it are intact`, {
      cause: error,
    });
  }
  throw new RangeError(`${what}: ${error.message}. Choose a folder that this user may write to`, { cause: error });
}
