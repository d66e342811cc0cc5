// Every store of checkpoints must do this, whatever it writes to. A row gets `open`, which opens a store of one run
// that nobody has used yet, again and again if it likes.

import type { ByteSource } from "../../../src/checkpoint/source/source.ts";
import { type CheckpointStore, RunInUseError } from "../../../src/checkpoint/store/store.ts";
import { assert, assertEquals, assertRejects } from "../../harness.ts";

type Open = (keep: number) => Promise<CheckpointStore>;

/** Bytes that tell which step they are of: no two steps have the same, at any place. */
export function bytesOf(step: number, size = 100_000): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(size / 4));
  for (let i = 0, word = step + 1; i < words.length; i++) {
    words[i] = word = (Math.imul(word, 1664525) + 1013904223) >>> 0;
  }
  return new Uint8Array(words.buffer).subarray(0, size);
}

/** In pieces of an odd size. */
export function* piecesOf(bytes: Uint8Array, size = 4099): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export async function contentOf(source: ByteSource): Promise<Uint8Array> {
  return await source.read(0, source.size);
}

/** The store has whole checkpoints of these steps, and of no others. */
export async function assertHolds(store: CheckpointStore, steps: readonly number[]): Promise<void> {
  assertEquals(await store.list(), [...steps], "steps");
  for (const step of steps) {
    assertEquals(await contentOf(await store.open(step)), bytesOf(step), `content of step ${step}`);
  }
}

async function saveAll(store: CheckpointStore, ...steps: number[]): Promise<void> {
  for (const step of steps) await store.save(step, piecesOf(bytesOf(step)));
}

class Broken extends Error {}

async function* breaking(step: number): AsyncGenerator<Uint8Array> {
  yield bytesOf(step).subarray(0, 50_000);
  await Promise.resolve();
  throw new Broken("the device is gone");
}

/** In one row the same process opens a run twice, as two tabs or two processes would. */
export const CONTRACT: Readonly<Record<string, (open: Open) => Promise<void>>> = {
  async "a new store is empty and says so"(open) {
    const store = await open(2);
    assertEquals(await store.list(), []);
    await assertRejects(() => store.open(3), "there is none yet");
    await store.close();
  },
  async "a saved checkpoint reads back, whole and in parts, from async chunks and in another store"(open) {
    let store = await open(2);
    await store.save(
      7,
      (async function* () {
        yield* piecesOf(bytesOf(7));
      })(),
    );
    await assertHolds(store, [7]);
    await store.close();
    store = await open(2);
    await assertHolds(store, [7]);
    const source = await store.open(7);
    assertEquals(await source.read(5_000, 15_000), bytesOf(7).subarray(5_000, 15_000));
    const error = await assertRejects(() => store.open(8), "expected one of 7");
    assert(error instanceof RangeError, error.name);
    await store.close();
  },
  async "the newest `keep` are kept, in the order of numbers"(open) {
    const store = await open(3);
    await saveAll(store, 0, 2, 9, 10, 100);
    await assertHolds(store, [9, 10, 100]);
    await store.close();
  },
  async "with keep 1 there is one"(open) {
    const store = await open(1);
    await saveAll(store, 1, 2, 3);
    await assertHolds(store, [3]);
    await store.close();
  },
  async "a run that went back to an earlier step leaves the later ones behind"(open) {
    const store = await open(3);
    await saveAll(store, 10, 20, 30, 15);
    await assertHolds(store, [10, 15]);
    await store.close();
  },
  async "a step that is saved again replaces itself only"(open) {
    const store = await open(2);
    await saveAll(store, 1, 2);
    await store.save(2, [bytesOf(3)]);
    assertEquals(await store.list(), [1, 2]);
    assertEquals(await contentOf(await store.open(2)), bytesOf(3));
    await store.save(2, [bytesOf(2)]);
    await assertHolds(store, [1, 2]);
    await store.close();
  },
  async "a save that breaks off throws what broke it and changes nothing"(open) {
    const store = await open(1);
    await saveAll(store, 1);
    for (const step of [1, 2]) {
      const error = await assertRejects(() => store.save(step, breaking(step)), "the device is gone");
      assert(error instanceof Broken, error.name);
      await assertHolds(store, [1]);
    }
    await saveAll(store, 2);
    await assertHolds(store, [2]);
    await store.close();
  },
  async "an empty checkpoint is one"(open) {
    const store = await open(1);
    await store.save(1, []);
    assertEquals([await store.list(), (await store.open(1)).size], [[1], 0]);
    await store.close();
  },
  async "a run that is in use is refused, and free once closed"(open) {
    const first = await open(2);
    await saveAll(first, 1);
    const error = await assertRejects(() => open(2), "Cannot use ");
    assert(error instanceof RunInUseError && !error.message.includes("\n"), `${error.name}: ${error.message}`);
    await saveAll(first, 2);
    await first.close();
    const second = await open(2);
    await assertHolds(second, [1, 2]);
    await second.close();
  },
  async "steps and numbers to keep are whole numbers"(open) {
    for (const keep of [0, -1, 1.5, NaN]) await assertRejects(() => open(keep), "expected a whole number above 0");
    const store = await open(1);
    for (const step of [-1, 0.5, Infinity, 2 ** 53]) {
      await assertRejects(() => store.save(step, []), "expected a whole number");
    }
    assertEquals(await store.list(), []);
    await store.close();
  },
};
