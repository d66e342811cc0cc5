// Runs Deno in the place of this Node process: the same terminal, signals and exit status.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";

/** The exit status of a program that was given this process's terminal and the signals that it gets. */
export function runDeno(program, args, options = {}) {
  const child = spawn(program, args, { stdio: "inherit", env: denoEnvironment(), ...options });
  // A terminal sends Ctrl-C to every process of the group. Sending it on would make two, and two mean "at once".
  const atTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  process.on("SIGINT", () => atTerminal || child.kill("SIGINT"));
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}

/** The environment for Deno: no update check over the network, no driver's complaint about XDG_RUNTIME_DIR. */
export function denoEnvironment() {
  const env = { ...process.env, DENO_NO_UPDATE_CHECK: "1" };
  if (process.platform === "linux" && !env.XDG_RUNTIME_DIR) {
    const folder = mkdtempSync(join(tmpdir(), "scrimp-"));
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    env.XDG_RUNTIME_DIR = folder;
  }
  return env;
}
