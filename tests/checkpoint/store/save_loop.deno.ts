// Saves checkpoints of one run for ever, and says what it has saved. tests/checkpoint/store/directory.deno.test.ts
// kills it.

import { openDirectoryStore } from "../../../src/checkpoint/store/directory.deno.ts";
import { bytesOf, piecesOf } from "./contract.ts";

const [folder, keep] = Deno.args;
const store = await openDirectoryStore(folder!, Number(keep));
for (let step = ((await store.list()).at(-1) ?? 0) + 1;; step++) {
  await store.save(step, piecesOf(bytesOf(step)));
  console.log(step);
}
