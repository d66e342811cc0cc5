// PyTorch is no dependency of the project: it takes part where a Python has it. In Node and in Deno.

import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const TRAINER = fileURLToPath(new URL("pytorch_trainer.py", import.meta.url));

/** Why PyTorch does not take part in the work for a real GPU. */
const TOO_LARGE = "it trains on the processor here, which would take minutes a step";

let found;

/** The first Python that has PyTorch as { command, version }, or { reason } why none takes part. */
export function findPyTorch(work) {
  if (work === "C") return { reason: TOO_LARGE };
  return found ??= searchPyTorch();
}

/** Tries the Python that the user names in PYTHON, and then the usual ones: a machine can have several. */
function searchPyTorch() {
  const candidates = [process.env.PYTHON, "python3", "/usr/bin/python3", "python"].filter(Boolean);
  for (const command of candidates) {
    const { status, stdout } = spawnSync(command, ["-c", "import torch; print(torch.__version__)"], {
      encoding: "utf8",
      timeout: 60_000,
    });
    if (status === 0) return { command, version: stdout.trim() };
  }
  const reason = `no Python here has it (tried ${candidates.join(", ")}; PYTHON names another)`;
  console.error(`PyTorch is left out: ${reason}`);
  return { reason };
}

/**
 * A process that answers lines, started with the first and kept until `close()` or the end of this program.
 * `ask` rejects with one line if it cannot be started or ends before it has answered.
 */
export function openPyTorch(command) {
  let python, replies, failed;
  const start = () => {
    python = spawn(command, [TRAINER], { stdio: ["pipe", "pipe", "inherit"] });
    failed = new Promise((_, reject) => {
      python.on("error", reject);
      python.on("close", (code, signal) => reject(new Error(`PyTorch ended with ${signal ?? `code ${code}`}`)));
    });
    failed.catch(() => {}); // told to whoever asks
    python.stdin.on("error", () => {}); // it has ended, which `failed` tells
    replies = createInterface({ input: python.stdout })[Symbol.asyncIterator]();
  };
  return {
    async ask(request) {
      if (!python) start();
      python.stdin.write(`${request}\n`);
      const reply = replies.next().then(({ value, done }) => done ? failed : value);
      return await Promise.race([reply, failed]);
    },
    close: () => python?.stdin.end(),
  };
}
