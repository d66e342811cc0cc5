// Checkpoints in a folder: the contract of all stores, a process killed at any instant, a full disk.

import { openDirectoryStore } from "../../../src/checkpoint/store/directory.deno.ts";
import { RunInUseError, StorageFullError } from "../../../src/checkpoint/store/store.ts";
import { assert, assertEquals, assertRejects, random, skip, test } from "../../harness.ts";
import { assertHolds, bytesOf, contentOf, CONTRACT, piecesOf } from "./contract.ts";

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const namesIn = (folder: string): string[] => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

for (const [name, row] of Object.entries(CONTRACT)) {
  test(`directory: ${name}`, () => inFolder((folder) => row((keep) => openDirectoryStore(`${folder}/runs/a`, keep))));
}

test("other files of the folder are left alone, parts of killed saves are not", () =>
  inFolder(async (folder) => {
    const others = ["checkpoint-01.safetensors", "checkpoint-5.safetensors.txt", "metrics.jsonl", "my.partial"];
    for (const name of [...others, "checkpoint-3.safetensors.partial", "checkpoint-4.safetensors.partial"]) {
      await Deno.writeFile(`${folder}/${name}`, bytesOf(9));
    }
    const store = await openDirectoryStore(folder, 1);
    assertEquals(await store.list(), []);
    await store.save(3, [bytesOf(3)]);
    assertEquals(namesIn(folder), [...others, "checkpoint-3.safetensors", "run.lock"].sort());
    await store.close();
  }));

test("what kills between a rename and its removal have left does not add up", () =>
  inFolder(async (folder) => {
    for (const step of [1, 2, 3, 4, 9]) await Deno.writeFile(`${folder}/checkpoint-${step}.safetensors`, bytesOf(step));
    const store = await openDirectoryStore(folder, 2);
    let during: readonly number[] = [];
    await store.save(
      5,
      async function* () {
        during = await store.list();
        yield bytesOf(5);
      }(),
    );
    assertEquals(during, [3, 4, 9], "a step that is later than the saved one goes after it only");
    assertEquals(await store.list(), [4, 5]);
    await store.close();
  }));

test("a folder that cannot be written to is one clear error", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "");
    for (const path of [`${folder}/file`, `${folder}/file/run`]) {
      const error = await assertRejects(() => openDirectoryStore(path, 1), `Cannot keep checkpoints in ${path}: `);
      assert(error instanceof RangeError && !error.message.includes("\n"), error.message);
    }
  }));

// ---- kill -9 ----------------------------------------------------------------------------------------------------

const KILLS = 30;

interface Loop {
  /** Once it has saved something. */
  readonly begun: Promise<void>;
  /** Kills it; resolves with the last step it said was safe, 0 if none. */
  kill(): Promise<number>;
}

function startLoop(folder: string): Loop {
  const script = new URL("./save_loop.deno.ts", import.meta.url).pathname,
    config = new URL("../../../deno.json", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", "--config", config, script, folder, "2"],
    stdout: "piped",
  }).spawn();
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  const said = (async () => {
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) resolve(), text += chunk;
    return text;
  })();
  return {
    begun,
    async kill() {
      child.kill("SIGKILL");
      const { signal, code } = await child.status;
      assertEquals(signal, "SIGKILL", `the loop ended by itself, with ${code}`);
      // The last line may be cut short.
      return Number((await said).split("\n").at(-2) ?? 0);
    },
  };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test(`after each of ${KILLS} kills at random instants the newest checkpoint is whole`, () =>
  inFolder(async (folder) => {
    const next = random(1);
    let safe = 0, partial = 0;
    for (let i = 0; i < KILLS; i++) {
      const loop = startLoop(folder), early = i % 3 === 0;
      if (!early) await loop.begun;
      await pause(next() * (early ? 200 : 30));
      safe = Math.max(safe, await loop.kill());
      partial += namesIn(folder).filter((name) => name.endsWith(".partial")).length;
      const store = await openDirectoryStore(folder, 2);
      const steps = await store.list();
      assert((steps.at(-1) ?? 0) >= safe, `step ${safe} was said to be safe, ${folder} has ${steps}`);
      // Between the rename and the removal of the oldest there are three.
      assert(steps.length <= 3, `${steps.length} checkpoints`);
      await assertHolds(store, steps);
      await store.close();
    }
    assert(safe > KILLS / 2, `only ${safe} saves in all`);
    assert(partial > 0, "no kill came in the middle of a save: the test has tested nothing");
  }));

test("a run that another process uses is refused, and free once that process is killed", () =>
  inFolder(async (folder) => {
    const loop = startLoop(folder);
    await loop.begun;
    const error = await assertRejects(() => openDirectoryStore(folder, 2), "another process does");
    assert(error instanceof RunInUseError, error.name);
    await loop.kill();
    await (await openDirectoryStore(folder, 2)).close();
  }));

// ---- a full disk ------------------------------------------------------------------------------------------------

/** Runs in a file system of one megabyte, which only root may make. */
async function onSmallDisk(run: (folder: string) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const mount = await new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder],
      stderr: "null",
    }).output().catch(() => null);
    if (!mount?.success) skip("this user may not mount a small file system");
    try {
      await run(folder);
    } finally {
      await new Deno.Command("umount", { args: [folder] }).output();
    }
  });
}

test("a full disk is one clear error, and takes nothing with it", () =>
  onSmallDisk(async (folder) => {
    const store = await openDirectoryStore(folder, 2);
    for (const step of [1, 2]) await store.save(step, piecesOf(bytesOf(step)));
    for (let i = 0; i < 3; i++) {
      const error = await assertRejects(
        () => store.save(3, piecesOf(bytesOf(3, 2 << 20))),
        "checkpoint-3.safetensors: the disk is full. Free some space",
      );
      assert(error instanceof StorageFullError && !error.message.includes("\n"), error.message);
      assertEquals(namesIn(folder), ["checkpoint-1.safetensors", "checkpoint-2.safetensors", "run.lock"]);
      await assertHolds(store, [1, 2]);
    }
    await store.save(3, piecesOf(bytesOf(3)));
    await assertHolds(store, [2, 3]);
    assertEquals(await contentOf(await store.open(3)), bytesOf(3));
    await store.close();
  }));
