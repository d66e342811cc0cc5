import { openGpu } from "../../src/gpu/device.ts";
import type { OracleCase, ReadFile } from "./files.ts";
import { replayPath } from "./replay.ts";

// Replays recorded fixtures: npm run -s oracle -- PATH… [--json]. One line a case; exit status 1 if any is out of
// tolerance.

const read: ReadFile = async (path) => {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    throw error;
  }
};

const json = Deno.args.includes("--json");
const paths = Deno.args.filter((arg) => arg !== "--json");
if (paths.length === 0) {
  console.error(
    "error: Cannot replay nothing: expected paths of fixtures. Usage: npm run -s oracle -- PATH... [--json]",
  );
  Deno.exit(2);
}

let failed = 0;
const show = (one: OracleCase): void => {
  if (!one.ok) failed++;
  const status = one.ok ? "ok  " : "FAIL";
  console.log(
    json
      ? JSON.stringify(one)
      : `${status} ${one.name.padEnd(52)} error ${one.max_relative_error.toExponential(2)}  tolerance ${one.tolerance}`,
  );
};

const gpu = await openGpu();
for (const path of paths) {
  try {
    const { cases, unsupported } = await replayPath(gpu, read, path.replace(/\/+$/, ""));
    cases.forEach(show);
    if (unsupported.length > 0) {
      console.error(`note: ${path}: not replayed, no such rule yet: ${unsupported.join(", ")}`);
    }
  } catch (error) {
    failed++;
    const message = (error as Error).message;
    if (json) {
      console.log(JSON.stringify({ name: path, ok: false, max_relative_error: null, tolerance: null, error: message }));
    } else console.log(`FAIL ${path}: ${message}`);
  }
}
Deno.exit(failed > 0 ? 1 : 0);
