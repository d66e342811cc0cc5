// The type checks of `npm run ok` and `npm test`, by name: the command and its arguments.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { findDeno, repository } from "../src/cli/setup.mjs";

/** Files for Deno alone, which no page's check may read. */
const denoOnly = () =>
  readdirSync(join(repository, "tests"), { recursive: true })
    .map((name) => `tests/${name.replaceAll("\\", "/")}`)
    .filter((name) => /\.deno(\.test)?\.ts$/.test(name)).sort();

export const typeChecks = () => {
  const roots = ["src/cli/main.ts", "vite.config.ts", "docs/examples", ...denoOnly()];
  return {
    "types, for pages": [
      process.execPath,
      join(repository, "node_modules/typescript/bin/tsc"),
      "--noEmit",
      "--pretty",
      "false",
    ],
    "types, for Deno": [findDeno(), "check", "--quiet", "--config", "deno.json", ...roots],
  };
};
