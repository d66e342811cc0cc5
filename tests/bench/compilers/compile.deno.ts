// Compiles kernels, one after another, on the GPU that the environment names, and says on stderr which: the driver
// prints there, too. A process of its own, since a compiler may crash and a device that is not there cannot be closed.
//
// Usage: compile.deno.ts naga|tint FILE FROM, the file a list of WGSL texts in JSON, FROM the first one to compile

/** Chromium's compiler, as a package for Node: Deno fetches it when it is asked for. */
const DAWN = "npm:webgpu@0.6.2";
const LIMITS = [
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxStorageBuffersPerShaderStage",
] as const;

/** Dawn crashes when its objects are collected. */
const kept: unknown[] = [];
const keep = <T>(object: T): T => {
  kept.push(object);
  return object;
};

const [compiler, path = "", from] = Deno.args;
const texts: string[] = JSON.parse(Deno.readTextFileSync(path));
const device = await openDevice(compiler === "tint" ? await openDawn() : navigator.gpu);
const paramsLayout = layoutOf([{ type: "uniform", hasDynamicOffset: true }]);
for (let i = Number(from); i < texts.length; i++) await compile(i, texts[i]!);
// At once: Dawn's way out would go through a driver that has no GPU.
Deno.exit(kept.length > 0 ? 0 : 1);

/** A line of this program's own between those of the driver. */
function say(text: string): void {
  const bytes = new TextEncoder().encode(`\n@@${text.replace(/\s+/g, " ")}\n`);
  for (let at = 0; at < bytes.length;) at += Deno.stderr.writeSync(bytes.subarray(at));
}

async function openDawn(): Promise<GPU> {
  try {
    const { create, globals } = await import(DAWN);
    Object.assign(globalThis, globals);
    return keep(create(["backend=vulkan"]));
  } catch (error) {
    say(`unavailable ${DAWN}: ${error instanceof Error ? error.message : String(error)}`);
    Deno.exit(1);
  }
}

async function openDevice(gpu: GPU): Promise<GPUDevice> {
  const adapter = keep(await gpu.requestAdapter());
  if (!adapter) {
    say("unavailable WebGPU has no adapter");
    Deno.exit(1);
  }
  const requiredFeatures = (["shader-f16", "subgroups"] as GPUFeatureName[])
    .filter((feature) => adapter.features.has(feature));
  const requiredLimits = Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit]]));
  const device = keep(await adapter.requestDevice({ requiredFeatures, requiredLimits }));
  say(`adapter ${adapter.info.description}`);
  return device;
}

function layoutOf(buffers: readonly GPUBufferBindingLayout[]): GPUBindGroupLayout {
  const entries = buffers.map((buffer, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer }));
  return keep(device.createBindGroupLayout({ entries }));
}

/** Group 0 of a shader holds its tensors, group 1 its parameters. */
function layoutsOf(text: string): GPUBindGroupLayout[] {
  const code = text.replace(/\/\/.*$/gm, "");
  const tensors = [...code.matchAll(/@group\(0\)\s*@binding\(\d+\)\s*var\s*<\s*storage\s*,\s*(\w+)\s*>/g)];
  const buffers = tensors.map(([, access]) => ({ type: access === "read" ? "read-only-storage" : "storage" }) as const);
  return [layoutOf(buffers), ...(/@group\(1\)/.test(code) ? [paramsLayout] : [])];
}

async function compile(index: number, code: string): Promise<void> {
  say(`kernel ${index}`);
  device.pushErrorScope("validation");
  const module = keep(device.createShaderModule({ code }));
  const layout = keep(device.createPipelineLayout({ bindGroupLayouts: layoutsOf(code) }));
  keep(device.createComputePipeline({ layout, compute: { module, entryPoint: "main" } }));
  const error = await device.popErrorScope();
  say(`end ${index} ${error?.message ?? ""}`);
}
