// The slots of a browser's store must survive this. A row gets a run that nobody has used yet, and where its slots lie.

import { openSlots, type Slots } from "../../../src/checkpoint/store/slots.ts";
import { StorageFullError } from "../../../src/checkpoint/store/store.ts";
import { assert, assertEquals, assertRejects } from "../../harness.ts";
import { assertHolds, bytesOf, piecesOf } from "./contract.ts";

type OpenPlace = (run: string) => Promise<Slots>;

async function withStore(
  run: string,
  openPlace: OpenPlace,
  keep: number,
  use: (store: Awaited<ReturnType<typeof openSlots>>) => Promise<void>,
): Promise<void> {
  const store = await openSlots(run, openPlace, keep);
  await use(store).finally(() => store.close());
}

/** Steps 1 and 2 are generations 0 and 1. */
async function saveTwo(run: string, openPlace: OpenPlace): Promise<Slots> {
  await withStore(run, openPlace, 2, async (store) => {
    for (const step of [1, 2]) await store.save(step, piecesOf(bytesOf(step)));
  });
  return await openPlace(run);
}

/** After the damage to generation 1 only step 1 is there, and the next save makes all well. */
function afterDamage(damage: (place: Slots) => Promise<void>) {
  return async (run: string, openPlace: OpenPlace): Promise<void> => {
    await damage(await saveTwo(run, openPlace));
    await withStore(run, openPlace, 2, async (store) => {
      await assertHolds(store, [1]);
      await assertRejects(() => store.open(2), "expected one of 1");
      await store.save(2, piecesOf(bytesOf(2)));
      await assertHolds(store, [1, 2]);
    });
    assertEquals((await (await openPlace(run)).names()).length, 4, "slots left over");
  };
}

/** The place, but what is written to files that end with `suffix` finds no more space after `bytes`. */
const small = (openPlace: OpenPlace, suffix: string, bytes: number): OpenPlace => async (run) => {
  const place = await openPlace(run);
  async function* limited(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let rest = bytes;
    for await (const chunk of chunks) {
      if ((rest -= chunk.length) < 0) throw new DOMException("no more space", "QuotaExceededError");
      yield chunk;
    }
  }
  return { ...place, write: (name, chunks) => place.write(name, name.endsWith(suffix) ? limited(chunks) : chunks) };
};

const recordText = async (place: Slots): Promise<string> => await (await place.read("1.json"))!.text();
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

export const SLOTS_CONTRACT: Readonly<Record<string, (run: string, openPlace: OpenPlace) => Promise<void>>> = {
  "bytes without a record are not there": afterDamage((place) => place.remove("1.json")),
  "a record without bytes is not there": afterDamage((place) => place.remove("1.safetensors")),
  "a torn record is none": afterDamage(async (place) =>
    place.write("1.json", [encode((await recordText(place)).slice(0, -9))])
  ),
  "an empty record is none": afterDamage((place) => place.write("1.json", [])),
  "a record of another generation is none": afterDamage(async (place) =>
    place.write("1.json", [encode((await recordText(place)).replace('"generation":1', '"generation":7'))])
  ),
  "bytes cut short are not there": afterDamage((place) => place.write("1.safetensors", [bytesOf(2).subarray(1)])),
  "one wrong bit is noticed": afterDamage((place) =>
    place.write("1.safetensors", [bytesOf(2).map((byte, i) => i === 77_777 ? byte ^ 4 : byte)])
  ),

  async "the last good one is not touched while the next is written"(run, openPlace) {
    await withStore(run, openPlace, 1, async (store) => {
      await store.save(1, [bytesOf(1)]);
      const place = await openPlace(run);
      let looks = 0;
      await store.save(
        2,
        (async function* () {
          for (const chunk of piecesOf(bytesOf(2), 30_000)) {
            yield chunk;
            assertEquals(new Uint8Array(await (await place.read("0.safetensors"))!.arrayBuffer()), bytesOf(1));
            assert(await place.read("0.json") !== null, "the record is gone");
            looks++;
          }
        })(),
      );
      assertEquals(looks, 4);
      assertEquals((await place.names()).sort(), ["1.json", "1.safetensors"]);
    });
  },

  async "without space for the bytes or the record there is one clear error, and nothing is lost"(run, openPlace) {
    await saveTwo(run, openPlace);
    for (const [suffix, bytes] of [[".safetensors", 50_000], [".safetensors", 0], [".json", 5]] as const) {
      await withStore(run, small(openPlace, suffix, bytes), 2, async (store) => {
        const error = await assertRejects(
          () => store.save(3, piecesOf(bytesOf(3))),
          `Cannot save the checkpoint of step 3 of run ${run}: the browser gives this page no more space`,
        );
        assert(error instanceof StorageFullError && !error.message.includes("\n"), error.name);
        await assertHolds(store, [1, 2]);
        assertEquals((await (await openPlace(run)).names()).length, 4, "slots left over");
      });
    }
    await withStore(run, openPlace, 2, async (store) => {
      await store.save(3, piecesOf(bytesOf(3)));
      await assertHolds(store, [2, 3]);
    });
  },
};
