#!/usr/bin/env node
// The command `scrimp` of the package. Deno runs the command line right here, `deno run -A npm:scrimp`; Node, which has
// no WebGPU, starts a Deno for it, `npx scrimp`.

import { startDeno } from "./start_deno.mjs";

if ("Deno" in globalThis) await import("./main.ts");
else await startDeno();
