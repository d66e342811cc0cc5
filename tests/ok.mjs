// npm run ok: what a change must pass before the tests are worth their minutes. Every check runs even if one before it
// fails, and prints a line; the exit status is 1 if any has failed.

import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { denoEnvironment, findDeno, repository, setup } from "../src/cli/setup.mjs";
import { typeChecks } from "./type_checks.mjs";

await setup();
const deno = findDeno(), env = { ...denoEnvironment(), NO_COLOR: "1" };
const bin = (path) => [process.execPath, join(repository, "node_modules", path)];

/** The public entry points: every symbol of theirs has a docstring, and every type that it names is public. */
const entries = ["src/index.ts", ...filesOf("src/exports", /\.ts$/)];

const CHECKS = {
  "format": [deno, "fmt", "--check", "--quiet"],
  "lint": [deno, "lint", "--quiet"],
  "floating promises": [...bin("oxlint/bin/oxlint"), "--type-aware"],
  ...typeChecks(),
  "docstrings": [deno, "doc", "--lint", "--quiet", ...entries],
  "layers": [deno, "test", "-A", "--quiet", "--no-check", "--config", "deno.json", "tests/layers.deno.test.ts"],
};

let failed = 0;
for (const [name, [command, ...args]] of Object.entries(CHECKS)) {
  const begun = performance.now(), { status, output } = await run(command, args);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  console.log(`${status === 0 ? "ok    " : "FAILED"}  ${name.padEnd(20)} ${seconds} s`);
  if (status === 0) continue;
  failed++;
  console.log(output.trimEnd().replace(/^/gm, "  "));
}
process.exit(failed === 0 ? 0 : 1);

function filesOf(folder, pattern) {
  const names = readdirSync(join(repository, folder), { recursive: true }).map((name) => name.replaceAll("\\", "/"));
  return names.filter((name) => pattern.test(name)).sort().map((name) => `${folder}/${name}`);
}

function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: repository, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => output += text);
    child.on("error", (error) => resolve({ status: 1, output: error.message }));
    child.on("close", (status) => resolve({ status, output }));
  });
}
