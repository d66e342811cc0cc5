// The entry of the command line tool from Node: it sets up, then hands over to Deno.

import { join, relative } from "node:path";
import { runDeno } from "./run_deno.mjs";
import { findDeno, repository, runMain, setup } from "./setup.mjs";

await runMain(async () => {
  await setup();
  const config = join(repository, "deno.json"), main = join(repository, "src/cli/main.ts");
  const args = ["run", "-A", "--quiet", "--config", config, main, ...process.argv.slice(2)];
  process.exitCode = await runDeno(findDeno(), args, { cwd: userDirectory() });
});

/**
 * The folder of the user's relative paths. npm runs scripts in the repository and keeps the user's folder in INIT_CWD.
 */
function userDirectory() {
  const startedByNpm = process.env.INIT_CWD && relative(repository, process.cwd()) === "";
  return startedByNpm ? process.env.INIT_CWD : process.cwd();
}
