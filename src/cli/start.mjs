// The entry of the command line tool from Node: it sets up, then hands over to Deno.

import { spawn } from "node:child_process";
import { constants } from "node:os";
import { join, relative } from "node:path";
import { denoEnvironment, findDeno, repository, runMain, setup } from "./setup.mjs";

await runMain(async () => {
  await setup();
  const config = join(repository, "deno.json"), main = join(repository, "src/cli/main.ts");
  const args = ["run", "-A", "--quiet", "--config", config, main, ...process.argv.slice(2)];
  const child = spawn(findDeno(), args, { cwd: userDirectory(), stdio: "inherit", env: denoEnvironment() });

  // A terminal sends Ctrl-C to every process of the group. Sending it on would make two, and two mean "at once".
  const atTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  process.on("SIGINT", () => atTerminal || child.kill("SIGINT"));
  process.on("SIGTERM", () => child.kill("SIGTERM"));

  process.exitCode = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
});

/**
 * The folder of the user's relative paths. npm runs scripts in the repository and keeps the user's folder in INIT_CWD.
 */
function userDirectory() {
  const startedByNpm = process.env.INIT_CWD && relative(repository, process.cwd()) === "";
  return startedByNpm ? process.env.INIT_CWD : process.cwd();
}
