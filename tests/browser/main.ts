// Runs the shared tests in a page. `?files=ops/linear.test.ts` runs one file, `?filter=text` the files and tests whose
// name has that text. tests/browser/run.mjs listens through `scrimpReport`; opened by hand, the page shows it all.

import { cases, describe, runCase, type TestEvent } from "../harness.ts";

type PageEvent = TestEvent | { event: "file"; file: string } | { event: "done" };

declare global {
  var scrimpReport: ((event: PageEvent) => Promise<void>) | undefined;
}

const modules = import.meta.glob(["../**/*.test.ts", "!../**/*.deno.test.ts"]);
const query = new URLSearchParams(location.search);
const wantedFiles = query.get("files")?.split(","), filter = query.get("filter") ?? "";

// Dawn gives out a compiled pipeline again as long as one like it is alive, and SwiftShader takes seconds to compile.
const pipelines: GPUComputePipeline[] = [];
const compile = GPUDevice.prototype.createComputePipelineAsync;
GPUDevice.prototype.createComputePipelineAsync = async function (descriptor) {
  const pipeline = await compile.call(this, descriptor);
  pipelines.push(pipeline);
  return pipeline;
};

let running = "";
addEventListener("error", (event) => void reportUncaught(event.error ?? event.message));
addEventListener("unhandledrejection", (event) => void reportUncaught(event.reason));

for (const [path, load] of Object.entries(modules)) {
  const file = path.slice("../".length);
  if (wantedFiles?.includes(file) ?? true) await runFile(file, load);
}
await report({ event: "done" });

async function runFile(file: string, load: () => Promise<unknown>): Promise<void> {
  running = file;
  await report({ event: "file", file });
  cases.length = 0;
  try {
    await load();
  } catch (error) {
    await reportFailure(`loading ${file}`, error);
  }
  const wanted = file.includes(filter) ? cases : cases.filter(({ name }) => name.includes(filter));
  for (const one of wanted.slice()) {
    running = one.name;
    await runCase(one, report).catch(() => {}); // reported already
  }
  // An error that nobody awaited arrives in a later task; give it the chance before the next file is named.
  await new Promise((resolve) => setTimeout(resolve));
}

function reportUncaught(error: unknown): Promise<void> {
  return reportFailure(`uncaught error during ${running}`, error);
}

async function reportFailure(name: string, error: unknown): Promise<void> {
  await report({ event: "start", name });
  await report({ event: "end", name, outcome: "failed", ms: 0, detail: describe(error) });
}

async function report(event: PageEvent): Promise<void> {
  if (globalThis.scrimpReport) return globalThis.scrimpReport(event);
  if (event.event === "start") return;
  const line = document.body.appendChild(document.createElement("pre"));
  if (event.event === "end") {
    line.className = event.outcome;
    line.textContent = `  ${event.outcome} ${event.name} (${event.ms.toFixed(0)} ms) ${event.detail}`;
  } else {
    line.textContent = event.event === "file" ? event.file : "done";
  }
}
