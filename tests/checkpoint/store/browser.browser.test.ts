// Checkpoints in a browser: the contract of all stores on files (in a Worker) and on a database (in a page), damaged
// slots, a Worker that is terminated at any instant.

import { proxy, type Remote, wrap } from "comlink";
import { openBrowserStore } from "../../../src/checkpoint/store/browser.ts";
import { openDatabaseSlots } from "../../../src/checkpoint/store/indexed_db.ts";
import { assert, assertEquals, assertRejects, random, test } from "../../harness.ts";
import { assertHolds, bytesOf, CONTRACT } from "./contract.ts";
import type { OriginWorker } from "./opfs_worker.ts";
import { SLOTS_CONTRACT } from "./slots_contract.ts";

const start = (): Worker => new Worker(new URL("./opfs_worker.ts", import.meta.url), { type: "module" });

let runs = 0;
/** The name of a run that nobody has used: the storage of a page may be older than this one. */
const newRun = (): string => `run ${++runs}/${Date.now()} 100 %`;

/** One for all tests that do not end it: it takes longer to start than to use. */
let thread: Remote<OriginWorker> | undefined;
const inWorker = (): Remote<OriginWorker> => thread ??= wrap<OriginWorker>(start());

for (const [name, row] of Object.entries(CONTRACT)) {
  test(`database: ${name}`, () => row(((run) => (keep) => openBrowserStore(run, keep))(newRun())));
  test(`files: ${name}`, () => inWorker().row(name, newRun()));
}
for (const [name, row] of Object.entries(SLOTS_CONTRACT)) {
  test(`database: ${name}`, () => row(newRun(), openDatabaseSlots));
  test(`files: ${name}`, () => inWorker().slotsRow(name, newRun()));
}

test("files: a write that takes a part of the bytes is continued, one that takes none is out of space", () =>
  inWorker().writesInParts());

test("a page uses the database, a Worker the files", async () => {
  const run = newRun(), store = await openBrowserStore(run, 1);
  await store.save(1, [bytesOf(1)]);
  await store.close();
  assert((await indexedDB.databases()).some(({ name }) => name === `scrimp run ${run}`), "the page has no database");
  assertEquals(await inWorker().look(run), { steps: [], over: 0 });
});

test("a database whose connection the browser has ended is opened again", async () => {
  const run = newRun(), { transaction } = IDBDatabase.prototype, store = await openBrowserStore(run, 2);
  await store.save(1, [bytesOf(1)]);
  let ended = 0;
  IDBDatabase.prototype.transaction = function (...args) {
    if (ended++ === 0) this.close();
    return transaction.apply(this, args);
  };
  try {
    await store.save(2, [bytesOf(2)]);
  } finally {
    IDBDatabase.prototype.transaction = transaction;
  }
  await assertHolds(store, [1, 2]);
  assert(ended > 1, "no transaction was begun");
  await store.close();
});

test("a run that a Worker uses is refused to a page", async () => {
  const thread = start(), run = newRun();
  await new Promise<void>((resolve) => void wrap<OriginWorker>(thread).saveForEver(run, proxy(() => resolve())));
  await assertRejects(() => openBrowserStore(run, 1), "another tab does");
  thread.terminate();
});

const TERMINATIONS = 10;

test(`after each of ${TERMINATIONS} terminations at random instants the newest checkpoint is whole`, async () => {
  const run = newRun(), next = random(2);
  let safe = 0, over = 0;
  for (let i = 0; i <= TERMINATIONS; i++) {
    const thread = start(), worker = wrap<OriginWorker>(thread), found = await lookWhenFree(worker, run);
    over += found.over;
    assert((found.steps.at(-1) ?? 0) >= safe, `step ${safe} was said to be safe, there are ${found.steps}`);
    if (i < TERMINATIONS) {
      await new Promise<void>((resolve) => void worker.saveForEver(run, proxy((step) => (safe = step, resolve()))));
    }
    await new Promise((resolve) => setTimeout(resolve, next() * 40));
    thread.terminate();
  }
  assert(over > 0, "no termination came in the middle of a save: the test has tested nothing");
});

/** A Worker that is told to end ends a little later. */
async function lookWhenFree(worker: Remote<OriginWorker>, run: string): Promise<{ steps: number[]; over: number }> {
  for (let tries = 0;; tries++) {
    try {
      return await worker.look(run);
    } catch (error) {
      if ((error as Error).name !== "RunInUseError" || tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
