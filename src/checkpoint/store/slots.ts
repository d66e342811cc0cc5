import { createSha256 } from "../sha256.ts";
import { blobSource } from "../source/blob.ts";
import {
  checkKeep,
  type CheckpointStore,
  checkStep,
  noCheckpoint,
  RunInUseError,
  stepsToDrop,
  StorageFullError,
} from "./store.ts";

/** A flat folder in a browser's storage. A file that is being written when the browser ends may hold anything. */
export interface Slots {
  names(): Promise<string[]>;
  /** A file; null if there is none. */
  read(name: string): Promise<Blob | null>;
  /** Writes a file, whose bytes are on the disk when it resolves. */
  write(name: string, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void>;
  /** Removes a file; no error if there is none. */
  remove(name: string): Promise<void>;
  close(): void;
}

/** The second of the two files of a checkpoint. It is written after the first, and has its size and hash. */
interface CommitRecord {
  readonly generation: number;
  readonly step: number;
  readonly bytes: number;
  readonly sha256: string;
}

const payloadOf = (generation: number): string => `${generation}.safetensors`;
const recordOf = (generation: number): string => `${generation}.json`;
const generationOf = (name: string): number => Number(/^(\d+)\.(safetensors|json)$/.exec(name)?.[1] ?? -1);

/**
 * Checkpoints in a place that cannot replace files atomically. Each goes to a slot of its own, a new generation: the
 * bytes first, then the record that commits them. Bytes that have no record, or do not match it, are not there. `keep`
 * 1 gives two slots that take turns.
 * @throws RunInUseError if another tab or Worker has the run open; one that is closed or terminated lets go.
 */
export async function openSlots(
  run: string,
  openPlace: (run: string) => Promise<Slots>,
  keep: number,
): Promise<CheckpointStore> {
  checkKeep(keep);
  const release = await lockRun(run);
  const place = await openPlace(run).catch((
    error,
  ) => (release(), refuse(`Cannot keep checkpoints of run ${run}`, error)));
  /** Generations whose bytes have been read and found to be those of the record. */
  const whole = new Set<number>();

  /** The records by step; if two are of one step, the newer. */
  async function committed(
    accept: (record: CommitRecord) => boolean | Promise<boolean>,
  ): Promise<Map<number, CommitRecord>> {
    const records = new Map<number, CommitRecord>();
    const generations = (await place.names()).filter((name) => name.endsWith(".json")).map(generationOf).sort((a, b) =>
      a - b
    );
    for (const generation of generations) {
      const record = await readRecord(place, generation);
      if (record && await accept(record)) records.set(record.step, record);
    }
    return new Map([...records].sort(([a], [b]) => a - b));
  }
  async function isWhole(record: CommitRecord): Promise<boolean> {
    if (!whole.has(record.generation) && await agrees(place, record)) whole.add(record.generation);
    return whole.has(record.generation);
  }
  /**
   * Leaves the slots of these generations alone, and frees the others. The records go first: a record without bytes is
   * nothing, but costs a look.
   */
  async function keepOnly(generations: readonly number[]): Promise<void> {
    const names = (await place.names()).filter((name) => !generations.includes(generationOf(name)));
    for (const name of names.sort((a, b) => Number(b.endsWith(".json")) - Number(a.endsWith(".json")))) {
      await place.remove(name);
    }
  }
  return {
    list: async () => [...(await committed(isWhole)).keys()],
    async save(step, bytes) {
      checkStep(step);
      const before = await committed(() => true);
      const generation = 1 + Math.max(-1, ...(await place.names()).map(generationOf));
      await keepOnly([...before.values()].map((record) => record.generation));
      try {
        const record = { generation, step, ...await writePayload(place, payloadOf(generation), bytes) };
        await place.write(recordOf(generation), [new TextEncoder().encode(JSON.stringify(record))]);
      } catch (error) {
        // If this fails, the next save removes them.
        for (const name of [recordOf(generation), payloadOf(generation)]) await place.remove(name).catch(() => {});
        refuse(`Cannot save the checkpoint of step ${step} of run ${run}`, error as Error);
      }
      whole.add(generation);
      const after = new Map([...before].map(([old, record]) => [old, record.generation])).set(step, generation);
      for (const old of stepsToDrop([...after.keys()].sort((a, b) => a - b), step, keep)) after.delete(old);
      await keepOnly([...after.values()]);
    },
    async open(step) {
      const records = await committed(isWhole), record = records.get(step);
      const payload = record && await place.read(payloadOf(record.generation));
      if (!payload) throw noCheckpoint(`run ${run}`, step, [...records.keys()]);
      return blobSource(`checkpoint ${step} of run ${run}`, payload);
    },
    close() {
      place.close();
      release();
      return Promise.resolve();
    },
  };
}

/** Locks a run; resolves to the function that lets go. */
function lockRun(run: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    navigator.locks.request(`scrimp run ${run}`, { ifAvailable: true }, (lock) => {
      if (lock === null) {
        throw new RunInUseError(`Cannot use run ${run}: another tab does. Close it, or choose another name`);
      }
      return new Promise<void>(resolve);
    }).catch(reject);
  });
}

async function readRecord(place: Slots, generation: number): Promise<CommitRecord | null> {
  try {
    const record = JSON.parse(await (await place.read(recordOf(generation)))!.text()) as CommitRecord;
    return record.generation === generation && Number.isSafeInteger(record.step) ? record : null;
  } catch {
    return null; // torn, or gone
  }
}

/** Bytes that are hashed at a time: a checkpoint need not fit in memory. */
const PIECE_BYTES = 4 << 20;

async function agrees(place: Slots, { generation, bytes, sha256 }: CommitRecord): Promise<boolean> {
  const payload = await place.read(payloadOf(generation));
  if (payload?.size !== bytes) return false;
  const hash = createSha256(), source = blobSource("", payload);
  try {
    for (let at = 0; at < bytes; at += PIECE_BYTES) {
      hash.update(await source.read(at, Math.min(at + PIECE_BYTES, bytes)));
    }
  } catch {
    return false;
  }
  return hash.hex() === sha256;
}

async function writePayload(
  place: Slots,
  name: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createSha256();
  let bytes = 0;
  async function* measured(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      bytes += chunk.length;
      yield chunk;
    }
  }
  await place.write(name, measured());
  return { bytes, sha256: hash.hex() };
}

function refuse(what: string, error: Error): never {
  if (error.name !== "QuotaExceededError") throw error;
  throw new StorageFullError(
    `${what}: the browser gives this page no more space. Free some, or keep fewer; the checkpoints before it are ` +
      "intact",
    { cause: error },
  );
}
