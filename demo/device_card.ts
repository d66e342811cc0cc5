import type { AdapterReport } from "../src/index.ts";
import { formatBytes } from "../src/exports/plan.ts";
import { byId, count, create, fact } from "./dom.ts";
import type { DeviceReport } from "./protocol.ts";

/** Shows the adapter of the run, or the way out if there is none. */
export function showDevice(report: DeviceReport): void {
  byId("device").replaceChildren(
    ...(report.found ? adapterFacts(report.adapter, report.target) : advice(report.reason)),
  );
}

function adapterFacts({ name, software, limits, features }: AdapterReport, target: string): HTMLElement[] {
  const kind = software
    ? create("span", { class: "tag warn" }, "software, on the CPU")
    : create("span", { class: "tag" }, "GPU");
  const kernels = target === "tiled" ? "tiled, workgroup memory" : "portable, no barriers";
  return [
    create("p", { class: "adapter" }, name, " ", kind),
    create(
      "dl",
      { class: "facts" },
      fact("Kernels", kernels),
      fact("Largest buffer", formatBytes(limits.maxBufferSize)),
      fact("Largest binding", formatBytes(limits.maxStorageBufferBindingSize)),
      fact(
        "Workgroup",
        `${count(limits.maxComputeInvocationsPerWorkgroup)} threads, ${
          formatBytes(limits.maxComputeWorkgroupStorageSize)
        }`,
      ),
    ),
    ...(software
      ? [
        create(
          "p",
          { class: "muted" },
          "Slow, but the results are the same. With a real GPU, check that the browser's hardware acceleration is on.",
        ),
      ]
      : []),
    create(
      "details",
      {},
      create("summary", {}, `${features.length} features`),
      create("p", { class: "muted" }, features.join(", ") || "none"),
    ),
  ];
}

function advice(reason: string): HTMLElement[] {
  const steps = [
    "Use a current Chrome or Edge, Safari 26 or newer, or Firefox 141 or newer.",
    "Open the page over https, or from localhost: other pages get no WebGPU.",
    "Turn on hardware acceleration in the browser's settings and update the graphics driver.",
    "In Chrome on Linux, set chrome://flags/#enable-unsafe-webgpu and chrome://flags/#enable-vulkan.",
  ];
  return [
    create("p", { class: "error" }, reason),
    create("ul", {}, ...steps.map((step) => create("li", {}, step))),
    create("p", { class: "muted" }, "Memory is planned without a GPU, so the settings and the table still work."),
  ];
}
