// Reading from the hub must do this, whatever the cache writes to. A row gets `open`, which gives the same cache again
// and again, as processes that start one after the other would have it, empty at first.

import { type HubFolder, hubFolder, type HubOptions } from "../../../src/checkpoint/source/hub.ts";
import type { HubCache } from "../../../src/checkpoint/source/hub_cache.ts";
import { HubUnreachableError } from "../../../src/checkpoint/source/hub_fetch.ts";
import { HUB_PIECE_BYTES } from "../../../src/checkpoint/source/hub_file.ts";
import { assert, assertEquals, assertRejects } from "../../harness.ts";
import { bytesOf } from "../store/contract.ts";
import {
  COMMIT,
  cut,
  endless,
  type FakeHub,
  fakeHub,
  flipped,
  noNetwork,
  otherRange,
  REPO,
  status,
} from "./fake_hub.ts";

type OpenCache = () => Promise<HubCache>;

/** Two pieces and a bit. */
const SIZE = 2 * HUB_PIECE_BYTES + 1234;
const BIG = bytesOf(1, SIZE), LAST = SIZE - 1;
export const FILES = {
  "config.json": new TextEncoder().encode('{"a": 1}'),
  "sub/with space.bin": bytesOf(2, 5000),
  "model.safetensors": BIG,
  empty: new Uint8Array(0),
};
export const BYTES_NAME = `${REPO}/${COMMIT}/model.safetensors`;

const piece = (first: number, last = first + 1): string =>
  `model.safetensors ${first * HUB_PIECE_BYTES}-${Math.min(last * HUB_PIECE_BYTES, SIZE) - 1}`;

/** As assertEquals, but fast for megabytes that are equal. */
export function assertBytes(actual: Uint8Array<ArrayBuffer>, expected: Uint8Array<ArrayBuffer>): void {
  let same = actual.length === expected.length;
  for (let i = 0; same && i < actual.length; i++) same = actual[i] === expected[i];
  if (!same) assertEquals(actual, expected);
}

async function openHub(hub: FakeHub, cache: HubCache, options: Partial<HubOptions> = {}): Promise<HubFolder> {
  return await hubFolder(REPO, { cache, fetch: hub.fetch, pause: () => Promise.resolve(), ...options });
}

/** The large file, opened by a process that starts now; what it asked for until then is forgotten. */
async function openBig(hub: FakeHub, cache: OpenCache) {
  const source = (await (await openHub(hub, await cache())).open("model.safetensors"))!;
  hub.requests.length = 0;
  return source;
}

async function refused(
  work: () => Promise<unknown>,
  includes: string,
  kind: new (message: string) => Error = RangeError,
): Promise<void> {
  const error = await assertRejects(work, includes);
  assert(error instanceof kind && !error.message.includes("\n"), `${error.name}: ${error.message}`);
}

export const HUB_CONTRACT: Readonly<Record<string, (cache: OpenCache) => Promise<void>>> = {
  async "files are found in the listing of one commit, and read back"(cache) {
    const hub = fakeHub(FILES), folder = await openHub(hub, await cache());
    assertEquals([folder.name, folder.commit, hub.requests], [REPO, COMMIT, ["model", "tree", "tree"]]);
    for (const [path, bytes] of Object.entries(FILES)) {
      const source = (await folder.open(path))!;
      assertEquals([source.name, source.size], [`${REPO}/${path}`, bytes.length]);
      assertBytes(await source.read(0, source.size), bytes);
    }
    assertEquals([
      await folder.open("sub"),
      await folder.open("other.json"),
      await folder.open("../config.json"),
      await folder.open("__proto__"),
    ], [null, null, null, null]);
    assertEquals(hub.requests.slice(3), ["config.json 0-7", "sub/with space.bin 0-4999", piece(0, 3)]);
  },
  async "what is read is fetched in whole pieces, each once, the missing neighbours in one request"(cache) {
    const hub = fakeHub(FILES), source = await openBig(hub, cache);
    assertBytes(await source.read(10, 20), BIG.slice(10, 20));
    assertBytes(
      await source.read(HUB_PIECE_BYTES - 8, HUB_PIECE_BYTES),
      BIG.slice(HUB_PIECE_BYTES - 8, HUB_PIECE_BYTES),
    );
    assertEquals(hub.requests, [piece(0)]);
    assertBytes(await source.read(HUB_PIECE_BYTES - 5, SIZE), BIG.slice(HUB_PIECE_BYTES - 5));
    assertEquals(hub.requests, [piece(0), piece(1, 3)]);
    await source.read(0, SIZE);
    await refused(() => source.read(5, SIZE + 1), `${REPO}/model.safetensors: it has ${SIZE}`);
    assertEquals(hub.requests.length, 2);
  },
  async "a piece between two others is fetched alone, and reads at one time do not fetch twice"(cache) {
    const hub = fakeHub(FILES), source = await openBig(hub, cache);
    await Promise.all([source.read(0, 9), source.read(LAST, SIZE), source.read(3, 7)]);
    assertEquals(hub.requests, [piece(0), piece(2)]);
    assertBytes(await source.read(0, SIZE), BIG);
    assertEquals(hub.requests, [piece(0), piece(2), piece(1)]);
  },
  async "what was read is not asked for again, and without a network it is still there"(cache) {
    const hub = fakeHub(FILES);
    await (await openBig(hub, cache)).read(0, SIZE);
    hub.requests.length = 0;
    const pinned = await openHub(hub, await cache(), { revision: COMMIT });
    assertBytes(await (await pinned.open("model.safetensors"))!.read(0, SIZE), BIG);
    assertEquals(hub.requests, []);
    hub.faults.push(...Array(4).fill(noNetwork));
    const offline = await openHub(hub, await cache());
    assertBytes(await (await offline.open("model.safetensors"))!.read(0, SIZE), BIG);
    await refused(
      async () => (await offline.open("config.json"))!.read(0, (hub.faults.push(...Array(4).fill(noNetwork)), 8)),
      "huggingface.co cannot be reached",
      HubUnreachableError,
    );
  },
  async "a process that breaks off leaves its pieces to the next one"(cache) {
    const hub = fakeHub(FILES), first = await openBig(hub, cache);
    hub.faults.push(cut(HUB_PIECE_BYTES + 99, true), ...Array(4).fill(noNetwork));
    await refused(() => first.read(0, SIZE), "cannot be reached", HubUnreachableError);
    const second = await openBig(hub, cache);
    assertBytes(await second.read(0, SIZE), BIG);
    assertEquals(hub.requests, [piece(1, 3)]);
  },
  async "a body that ends early is continued, a few times"(cache) {
    const hub = fakeHub(FILES), source = await openBig(hub, cache);
    hub.faults.push(cut(HUB_PIECE_BYTES + 99), cut(99, true), status(503), noNetwork);
    assertBytes(await source.read(0, SIZE), BIG);
    assertEquals(hub.requests, [piece(0, 3), ...Array(4).fill(piece(1, 3))]);
  },
  async "one that never comes to its end is an error"(cache) {
    const hub = fakeHub(FILES), source = await openBig(hub, cache);
    hub.faults.push(...Array(4).fill(cut(99)));
    await refused(
      () => source.read(0, 5),
      `Cannot read ${REPO}/model.safetensors: the hub ended after 99 of ${HUB_PIECE_BYTES} bytes`,
      HubUnreachableError,
    );
    assertEquals(hub.requests.length, 4);
    assertBytes(await source.read(0, 5), BIG.slice(0, 5));
  },
  async "more than was asked for, or another range, is refused"(cache) {
    const hub = fakeHub(FILES), source = await openBig(hub, cache);
    hub.faults.push(endless);
    await refused(() => source.read(0, 5), `the hub sends more than the ${HUB_PIECE_BYTES} bytes expected`);
    hub.faults.push(otherRange);
    await refused(
      () => source.read(LAST, SIZE),
      `expected bytes ${2 * HUB_PIECE_BYTES}-${LAST} of ${SIZE}, the hub sent bytes 0-9/10`,
    );
    assertEquals(hub.requests.length, 2);
  },
  async "a server that knows no ranges is read through once"(cache) {
    const hub = fakeHub(FILES), source = await openBig(hub, cache);
    hub.rangeless = true;
    assertBytes(await source.read(LAST - 5, LAST), BIG.slice(LAST - 5, LAST));
    assertBytes(await source.read(0, SIZE), BIG);
    assertEquals(hub.requests, [piece(2)]);
    hub.faults.push(undefined, endless);
    await refused(
      async () => (await (await openHub(hub, await cache())).open("sub/with space.bin"))!.read(0, 5),
      "more than the 5000 bytes expected",
    );
  },
  async "bytes that were damaged on the way or in an unfinished file are noticed and removed"(cache) {
    const hub = fakeHub(FILES), source = await openBig(hub, cache);
    await source.read(0, 5);
    hub.faults.push(flipped);
    await refused(() => source.read(HUB_PIECE_BYTES, SIZE), "do not have the sha256 that the hub gives");
    assertEquals(await (await cache()).size(BYTES_NAME), null);
    await source.read(0, 5);
    await (await cache()).write(BYTES_NAME, 7, Uint8Array.of(BIG[7]! ^ 1));
    const next = await openBig(hub, cache);
    await refused(() => next.read(0, SIZE), "do not have the sha256 that the hub gives");
    assertEquals(hub.requests, [piece(1, 3)]);
    assertBytes(await next.read(0, SIZE), BIG);
  },
  async "a file that is shorter than its record says, or a torn record, is fetched anew"(cache) {
    const hub = fakeHub(FILES), shared = await cache();
    await (await openBig(hub, cache)).read(0, SIZE);
    await shared.replace(BYTES_NAME, "short");
    assertBytes(await (await openBig(hub, cache)).read(0, SIZE), BIG);
    assertEquals(hub.requests, [piece(0, 3)]);
    await shared.replace(`${REPO}/records/${COMMIT}/model.safetensors.json`, '{"size": 16');
    assertEquals(await (await openBig(hub, cache)).read(0, 4), BIG.slice(0, 4));
    assertEquals(hub.requests, [piece(0)]);
  },
  async "a repository, a revision that is not there"(cache) {
    const hub = fakeHub(FILES), shared = await cache();
    await refused(
      () => hubFolder("someone/else", { cache: shared, fetch: hub.fetch }),
      "Cannot read someone/else from the hub: there is no such repository",
    );
    await refused(() => openHub(hub, shared, { revision: "v2" }), 'no revision "v2" of it (HTTP 404)');
    for (const name of ["tiny", "a/b/c", "../x", "a/..", "https://x/y", ""]) {
      await refused(() => hubFolder(name, { cache: shared, fetch: hub.fetch }), 'expected "owner/name"');
    }
    assertEquals(hub.requests.length, 2);
  },
  async "a gated repository asks for a token, and takes the right one"(cache) {
    const hub = fakeHub(FILES), shared = await cache();
    hub.gated = true;
    await refused(() => openHub(hub, shared), "gated, private or absent (HTTP 401). Check the name, or set HF_TOKEN");
    await refused(
      () => openHub(hub, shared, { token: "hf_wrong" }),
      "(HTTP 403). The token of HF_TOKEN may not read it: ask for access at https://huggingface.co/someone/tiny",
    );
    const source = (await (await openHub(hub, shared, { token: "hf_right" })).open("config.json"))!;
    assertEquals(await source.read(0, 8), FILES["config.json"]);
  },
  async "a hub in trouble is asked four times, with growing pauses"(cache) {
    const hub = fakeHub(FILES), shared = await cache(), waited: number[] = [];
    const pause = (ms: number): Promise<void> => (waited.push(ms), Promise.resolve());
    hub.faults.push(status(503), status(429), noNetwork);
    await openHub(hub, shared, { pause });
    assertEquals([hub.requests.slice(0, 4), waited], [["model", "model", "model", "model"], [250, 1000, 4000]]);
    hub.faults.push(...Array(4).fill(status(500)));
    await refused(
      () => openHub(hub, shared, { pause }),
      `Cannot read ${REPO} from the hub: it answers HTTP 500. Try again later, or give a local folder`,
      HubUnreachableError,
    );
    hub.faults.push(...Array(4).fill(noNetwork));
    const unreachable =
      "huggingface.co cannot be reached (error sending request). Check the network, or give a local folder";
    await refused(() => openHub(hub, shared, { pause, revision: "other" }), unreachable, HubUnreachableError);
  },
};
