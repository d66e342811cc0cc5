// The way into the oracle from Node: sets up, then hands over to Deno, as src/cli/start.mjs does.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { denoEnvironment, findDeno, repository, runMain, setup } from "../../src/cli/setup.mjs";

await runMain(async () => {
  await setup();
  const args = [
    "run",
    "-A",
    "--quiet",
    "--no-check",
    "--config",
    join(repository, "deno.json"),
    join(repository, "tests/oracle/main.deno.ts"),
    ...process.argv.slice(2),
  ];
  const { status } = spawnSync(findDeno(), args, {
    cwd: process.env.INIT_CWD ?? process.cwd(),
    stdio: "inherit",
    env: denoEnvironment(),
  });
  process.exitCode = status ?? 1;
});
