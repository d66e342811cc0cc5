// jax-js is no dependency of the project: it is installed on demand, below node_modules.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../../src/cli/setup.mjs";

export const PEER = "@jax-js/jax@0.1.25";
const FOLDER = join(repository, "node_modules", ".bench");

/** Installs jax-js where it is missing. Returns the contestants that cannot take part, with the reason. */
export function installPeer() {
  if (existsSync(join(FOLDER, "node_modules", "@jax-js", "jax", "package.json"))) return {};
  console.error(`Installing ${PEER} into node_modules/.bench, for the comparison only`);
  const npm = spawnSync("npm", ["install", "--no-save", "--prefix", FOLDER, PEER], {
    encoding: "utf8",
    shell: process.platform === "win32", // npm is npm.cmd there
  });
  if (npm.status === 0) return {};
  const errors = (npm.stderr ?? "").split("\n").filter((line) =>
    line.startsWith("npm error") && !line.includes("complete log")
  );
  const reason = npm.error?.message ??
    (errors.map((line) => line.slice("npm error ".length)).join("; ") || "no reason given");
  return { "jax-js": `npm could not install ${PEER}: ${reason}` };
}
