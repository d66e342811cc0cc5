// Starts the command line of the installed package from Node.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runDeno } from "./run_deno.mjs";

const executable = process.platform === "win32" ? "deno.exe" : "deno";

/** Runs the command line in a Deno on the PATH, in one that is installed as a package, or in one that npm fetches. */
export async function startDeno() {
  const main = fileURLToPath(new URL(/* @vite-ignore */ "cli.js", import.meta.url));
  const args = ["run", "-A", "--quiet", "--node-modules-dir=manual", main, ...process.argv.slice(2)];
  const deno = denoOnPath() ?? denoPackage();
  try {
    process.exitCode = await (deno ? runDeno(deno, args) : runDeno(...throughNpm(args)));
  } catch (error) {
    process.stderr.write(`scrimp: Cannot start Deno: ${error.message}. Install it from https://deno.com\n`);
    process.exitCode = 1;
  }
}

function denoOnPath() {
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  // npm puts launchers of packages there, which cannot pass signals on: denoPackage() finds what they launch.
  return folders.filter((folder) => !folder.endsWith(join("node_modules", ".bin")))
    .map((folder) => join(folder, executable)).find(existsSync);
}

/** The Deno of the npm package "deno", beside this one or where the user is. */
function denoPackage() {
  for (const from of [import.meta.url, join(process.cwd(), "package.json")]) {
    try {
      const folder = dirname(createRequire(from).resolve("deno/package.json")), platforms = join(folder, "../@deno");
      // Where npm runs no scripts the binary stays in the package of its platform.
      const folders = [folder, ...readdirSync(platforms).map((name) => join(platforms, name))];
      const found = folders.map((folder) => join(folder, executable)).find(existsSync);
      if (found) return found;
    } catch {
      // It is not installed there.
    }
  }
  return undefined;
}

/** The command that fetches the Deno which this version was tested with. */
function throughNpm(args) {
  const { devDependencies } = JSON.parse(
    readFileSync(new URL(/* @vite-ignore */ "../package.json", import.meta.url), "utf8"),
  );
  const command = ["exec", "--yes", `--package=deno@${devDependencies.deno}`, "--", "deno", ...args];
  return process.platform === "win32" ? ["cmd.exe", ["/d", "/c", "npm", ...command]] : ["npm", command];
}
