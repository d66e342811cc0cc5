import { del, get, keys, promisifyRequest, set, type UseStore } from "idb-keyval";
import type { Slots } from "./slots.ts";

const STORE = "slots";

/** Slots as Blobs of a database, for pages without files. Never ArrayBuffers: Chromium refuses those above 133 MB. */
export function openDatabaseSlots(run: string): Promise<Slots> {
  const { store, close } = strictStore(`scrimp run ${run}`);
  return Promise.resolve({
    names: () => keys<string>(store),
    read: async (name) => await get<Blob>(name, store) ?? null,
    async write(name, bytes) {
      // Each chunk leaves this process's memory as a Blob of its own.
      const parts: Blob[] = [];
      for await (const chunk of bytes) parts.push(new Blob([chunk as Uint8Array<ArrayBuffer>]));
      await set(name, new Blob(parts), store);
    },
    remove: (name) => del(name, store),
    close,
  });
}

/**
 * A database that reaches the disk before a transaction ends: idb-keyval's own stores have the browsers' "relaxed"
 * durability. Its connection is made again if the browser has ended it, as Safari does to tabs in the background.
 */
function strictStore(name: string): { store: UseStore; close(): void } {
  let connection: Promise<IDBDatabase> | undefined;
  const connect = (): Promise<IDBDatabase> => {
    if (connection) return connection;
    const request = indexedDB.open(name);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    connection = promisifyRequest(request);
    connection.then((database) => database.onclose = () => connection = undefined, () => connection = undefined);
    return connection;
  };
  const begin = async (mode: IDBTransactionMode): Promise<IDBTransaction> =>
    (await connect()).transaction(STORE, mode, { durability: "strict" });
  const beginAgain = (mode: IDBTransactionMode, error: Error): Promise<IDBTransaction> => {
    if (error.name !== "InvalidStateError") throw error;
    connection = undefined;
    return begin(mode);
  };
  return {
    // A transaction lives until the microtasks after its beginning are done; `use` runs in one of them.
    store: (mode, use) =>
      begin(mode).catch((error) => beginAgain(mode, error)).then((transaction) => use(transaction.objectStore(STORE))),
    close: () => void connection?.then((database) => database.close(), () => {}),
  };
}
