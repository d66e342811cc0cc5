import { assert, assertEquals, assertRejects, test } from "../harness.ts";
import {
  checked,
  describeAdapter,
  DeviceLostError,
  NoAdapterError,
  openGpu,
  OutOfMemoryError,
  requestAdapter,
} from "../../src/gpu/device.ts";

/** Runs `body` with another `navigator.gpu`. */
async function withGpu<T>(gpu: unknown, body: () => Promise<T>): Promise<T> {
  Object.defineProperty(navigator, "gpu", { configurable: true, value: gpu });
  try {
    return await body();
  } finally {
    Reflect.deleteProperty(navigator, "gpu"); // the prototype's is visible again
  }
}

test("without WebGPU, or without an adapter, requestAdapter() says what to do", async () => {
  const cases = [
    [undefined, "navigator.gpu is missing"],
    [{ requestAdapter: () => Promise.resolve(null) }, "apt-get install mesa-vulkan-drivers"],
    [{ requestAdapter: () => Promise.reject(new Error("driver")) }, "Cannot find a WebGPU adapter"],
  ] as const;
  for (const [gpu, message] of cases) {
    const error = await withGpu(gpu, () => assertRejects(requestAdapter, message));
    assert(error instanceof NoAdapterError, `${message}: expected a NoAdapterError, got ${error.name}`);
    assert(
      (await withGpu(gpu, () => assertRejects(() => openGpu(), message))) instanceof NoAdapterError,
      "openGpu() too",
    );
  }
});

test("openGpu(): the adapter's own limits, its report, its target or a requested one", async () => {
  const gpu = await openGpu(), { limits, software } = gpu.adapter;
  for (const [name, value] of Object.entries(limits)) {
    assertEquals(Number(gpu.device.limits[name as keyof typeof limits]), value, name);
    assert(value > 0, `${name} is ${value}`);
  }
  assert(gpu.target.startsWith(software ? "portable" : "tiled"), `${gpu.adapter.name}: ${gpu.target}`);
  assertEquals(gpu.uncaptured(), undefined);
  for (const target of ["portable", "portable_small", "tiled"] as const) {
    const forced = await openGpu({ target });
    assertEquals(forced.target, target);
    forced.device.destroy();
  }
  gpu.device.destroy();
});

test("describeAdapter() knows the software adapters", () => {
  const limits = new Proxy({}, { get: () => 1 });
  const describe = (info: Partial<GPUAdapterInfo>) =>
    describeAdapter(
      {
        info: { vendor: "", architecture: "", device: "", description: "", ...info },
        features: new Set(["b", "a"]),
        limits,
      } as unknown as GPUAdapter,
    );
  assertEquals(describe({ description: "llvmpipe (LLVM 15.0.6, 256 bits)" }).software, true);
  assertEquals(describe({ vendor: "google", architecture: "swiftshader" }).software, true);
  assertEquals(describe({ description: "Microsoft Basic Render Driver" }).software, true);
  assertEquals(describe({ isFallbackAdapter: true }).software, true);
  const real = describe({ vendor: "nvidia", architecture: "hopper" });
  assertEquals([real.software, real.name, real.features], [false, "nvidia hopper", ["a", "b"]]);
  assertEquals(describe({}).name, "unnamed adapter");
});

test("checked() throws what WebGPU only reports, with what was tried", async () => {
  const { device, uncaptured } = await openGpu();
  assertEquals(await checked(device, "do nothing", () => 7), 7);
  await assertRejects(
    () =>
      checked(
        device,
        "make a buffer",
        () => device.createBuffer({ size: 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.MAP_WRITE }),
      ),
    "Cannot make a buffer: ",
  );
  await assertRejects(() => checked(device, "fail", () => Promise.reject(new Error("own"))), "own");
  assertEquals(uncaptured(), undefined, "a checked error is not reported twice");
  device.createBuffer({ size: 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.MAP_WRITE });
  await device.queue.onSubmittedWorkDone();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert(uncaptured()?.message.startsWith("WebGPU reported: "), "an error outside any scope is kept");
  device.destroy();
});

test("an allocation that the device refuses is an OutOfMemoryError", async () => {
  // No software adapter refuses one before it has eaten the machine's memory, so this one only says that it does.
  const results = [new Error("no memory left"), null]; // out-of-memory is the inner scope, so it is popped first
  const scopes: string[] = [];
  const device = {
    pushErrorScope: (filter: string) => void scopes.push(filter),
    popErrorScope: () => Promise.resolve(results.shift()),
  } as unknown as GPUDevice;
  const error = await assertRejects(
    () => checked(device, "allocate the plan", () => {}),
    "Cannot allocate the plan: the GPU is out of memory (no memory left). Use a smaller per_device_train_batch_size",
  );
  assert(error instanceof OutOfMemoryError, error.name);
  assertEquals([scopes, results], [["validation", "out-of-memory"], []], "both scopes are pushed and popped");
});

test("losing a device is told by a promise that never rejects", async () => {
  const { device, lost } = await openGpu();
  const early = await Promise.race([lost, new Promise((resolve) => setTimeout(() => resolve("still there"), 20))]);
  assertEquals(early, "still there");
  device.destroy();
  const error = await lost;
  assert(
    error instanceof DeviceLostError && error.message.includes("The GPU device was lost (destroyed)"),
    String(error),
  );
});
