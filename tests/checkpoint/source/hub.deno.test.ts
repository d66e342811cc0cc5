// The hub with a cache on the disk, over HTTP too, and folders that are either.

import { hubFolder } from "../../../src/checkpoint/source/hub.ts";
import { memoryCache } from "../../../src/checkpoint/source/hub_cache.ts";
import { defaultCacheFolder, directoryCache } from "../../../src/checkpoint/source/hub_cache_directory.deno.ts";
import { openFolder } from "../../../src/checkpoint/source/open_folder.deno.ts";
import { StorageFullError } from "../../../src/checkpoint/store/store.ts";
import { assert, assertEquals, assertRejects, skip, test } from "../../harness.ts";
import { cut, fakeHub, REPO } from "./fake_hub.ts";
import { assertBytes, BYTES_NAME, FILES, HUB_CONTRACT } from "./hub_contract.ts";

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const [name, row] of Object.entries(HUB_CONTRACT)) {
  test(`hub, cache on the disk: ${name}`, () =>
    inFolder((folder) => row(() => Promise.resolve(directoryCache(`${folder}/cache`)))));
}

test("over HTTP: ranges, a connection that breaks off, the token", () =>
  inFolder(async (folder) => {
    const hub = fakeHub(FILES);
    hub.gated = true;
    await using server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      (request) => hub.handle(request),
    );
    const fetch: typeof globalThis.fetch = (input, init) =>
      globalThis.fetch(String(input).replace("https://huggingface.co", `http://127.0.0.1:${server.addr.port}`), init);
    const options = { cache: directoryCache(folder), token: "hf_right", fetch, pause: () => Promise.resolve() };
    const big = FILES["model.safetensors"],
      source = (await (await hubFolder(REPO, options)).open("model.safetensors"))!;
    hub.faults.push(cut(10_000_000, true), cut(0, true));
    assertBytes(await source.read(0, big.length), big);
    assertEquals(hub.requests.filter((what) => what.startsWith("model.")).length, 3);
    hub.requests.length = 0;
    assertBytes(await (await (await hubFolder(REPO, options)).open("model.safetensors"))!.read(0, big.length), big);
    assertEquals(hub.requests, ["model"]);
  }));

test("without a server the error names the host", async () => {
  const fetch: typeof globalThis.fetch = (_, init) => globalThis.fetch("http://127.0.0.1:1/", init);
  await assertRejects(
    () => hubFolder(REPO, { cache: memoryCache(), fetch, pause: () => Promise.resolve() }),
    "huggingface.co cannot be reached",
  );
});

test("a folder on the disk comes before a repository of its name; what is neither is an error that says both", () =>
  inFolder(async (folder) => {
    const hub = fakeHub(FILES), before = Deno.cwd(), kept = Deno.env.get("SCRIMP_CACHE");
    await Deno.mkdir(`${folder}/${REPO}`, { recursive: true });
    await Deno.writeTextFile(`${folder}/${REPO}/config.json`, "local");
    Deno.env.set("SCRIMP_CACHE", `${folder}/cache`);
    try {
      const remote = await openFolder(REPO, { fetch: hub.fetch });
      assertEquals([remote.name, await (await remote.open("config.json"))!.read(0, 8)], [REPO, FILES["config.json"]]);
      assert(
        (await Deno.stat(`${folder}/cache/${BYTES_NAME.replace("model.safetensors", "config.json")}`)).isFile,
        "nothing in the cache",
      );
      Deno.chdir(folder);
      const local = await openFolder(REPO, { fetch: hub.fetch });
      assertEquals([local.name, (await local.open("config.json"))!.size], [REPO, 5]);
      await assertRejects(
        () => openFolder("./no/such", { fetch: hub.fetch }),
        'Cannot open "./no/such": there is no such folder',
      );
      await assertRejects(
        () => openFolder("tiny", { fetch: hub.fetch }),
        'a repository on the hub is called "owner/name"',
      );
    } finally {
      Deno.chdir(before);
      if (kept === undefined) Deno.env.delete("SCRIMP_CACHE");
      else Deno.env.set("SCRIMP_CACHE", kept);
    }
  }));

test("the cache lies where the user says, or where the system keeps caches", () => {
  const at = (values: Record<string, string>): string => defaultCacheFolder({ get: (name) => values[name] });
  assertEquals(at({ HOME: "/h" }), "/h/.cache/scrimp/hub");
  assertEquals(at({ HOME: "/h", XDG_CACHE_HOME: "/x" }), "/x/scrimp/hub");
  assertEquals(at({ HOME: "/h", XDG_CACHE_HOME: "/x", SCRIMP_CACHE: "/s" }), "/s");
});

test("a full disk under the cache is one clear error", () =>
  inFolder(async (folder) => {
    const mount = await new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder],
      stderr: "null",
    }).output().catch(() => null);
    if (!mount?.success) skip("this user may not mount a small file system");
    try {
      const folderOfHub = await hubFolder(REPO, { cache: directoryCache(folder), fetch: fakeHub(FILES).fetch });
      const error = await assertRejects(
        async () => (await folderOfHub.open("model.safetensors"))!.read(0, 5),
        `Cannot keep files of the hub in ${folder}: the disk is full`,
      );
      assert(error instanceof StorageFullError, error.name);
    } finally {
      await new Deno.Command("umount", { args: [folder] }).output();
    }
  }));
