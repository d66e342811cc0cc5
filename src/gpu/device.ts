/**
 * The form of kernels that suits an adapter: `tiled` uses workgroup memory (GPUs), `portable` has no barriers and keeps
 * what it can in registers (software adapters), `portable_small` is the same in smaller blocks (SwiftShader, whose
 * machine code for a 16 x 16 block of a matmul outgrows the instruction cache: 4 GFLOP/s instead of 7 on two cores).
 */
export type KernelTarget = "portable" | "portable_small" | "tiled";

/** An open WebGPU device and what is known of it. */
export interface Gpu {
  /** The WebGPU device. */
  readonly device: GPUDevice;
  /** The hardware or software behind the device. */
  readonly adapter: AdapterReport;
  /** The kernels that suit the adapter. */
  readonly target: KernelTarget;
  /** Settles when the device is lost. It never rejects. */
  readonly lost: Promise<DeviceLostError>;
  /** The first error that WebGPU reported outside any error scope, if one was. */
  uncaptured(): Error | undefined;
}

/** The facts about an adapter. */
export interface AdapterReport {
  /** Tells this error from others across a Worker's border. */
  readonly name: string;
  /** The vendor's name, as the runtime spells it. */
  readonly vendor: string;
  /** The family of GPUs, as the runtime spells it. */
  readonly architecture: string;
  /** True if the adapter computes on the CPU. */
  readonly software: boolean;
  /** Optional features of WebGPU that it has, in order of their names. */
  readonly features: readonly string[];
  /** Its limits, which the device has too. */
  readonly limits: Readonly<Record<LimitName, number>>;
}

/** The GPU vanished: driver reset, tab suspended, machine unplugged. Everything on it is gone. */
export class DeviceLostError extends Error {
  /** Tells this error from others across a Worker's border. */
  override readonly name = "DeviceLostError";
  /** Says why the device went away. */
  constructor(reason: string, message: string) {
    super(
      `The GPU device was lost (${reason}): ${
        message.replace(/\.$/, "") || "the driver gave no message"
      }. Start again; a smaller batch helps if it happens at once`,
    );
  }
}

/** No WebGPU here, or no adapter behind it. */
export class NoAdapterError extends Error {
  /** Tells this error from others across a Worker's border. */
  override readonly name = "NoAdapterError";
}

/** An allocation that the device refused. */
export class OutOfMemoryError extends Error {
  /** Tells this error from others across a Worker's border. */
  override readonly name = "OutOfMemoryError";
}

/** Everything that bounds a training step. WebGPU gives the defaults (128 MiB bindings) unless more is asked for. */
export const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxUniformBufferBindingSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
] as const;
/** The name of a limit of an adapter. */
export type LimitName = (typeof LIMITS)[number];

/**
 * The adapter for training, the fastest that there is.
 * @throws NoAdapterError with what to install or enable.
 */
export async function requestAdapter(): Promise<GPUAdapter> {
  const gpu = globalThis.navigator?.gpu;
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" }).catch(() => null);
  if (adapter) return adapter;
  throw new NoAdapterError(
    gpu
      ? "Cannot find a WebGPU adapter: expected a Vulkan, Metal or D3D12 driver, got none. On Linux install one " +
        "with: apt-get install mesa-vulkan-drivers"
      : "Cannot use WebGPU: navigator.gpu is missing. Use Chrome or Edge 113+, Safari 26+, Firefox 141+ on a secure " +
        "page, or Deno 2.9+",
  );
}

/** Reads the facts about an adapter. */
export function describeAdapter(adapter: GPUAdapter): AdapterReport {
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  const name = description || [vendor, architecture, device].filter(Boolean).join(" ") || "unnamed adapter";
  const software = isFallbackAdapter ||
    /llvmpipe|lavapipe|swiftshader|microsoft basic render/i.test(`${name} ${architecture}`);
  const limits = Object.fromEntries(LIMITS.map((limit) => [limit, Number(adapter.limits[limit])])) as Record<
    LimitName,
    number
  >;
  return { name, vendor, architecture, software, features: [...adapter.features].sort(), limits };
}

/** Chooses the kernels that suit an adapter. */
export function targetFor({ software, name, architecture }: AdapterReport): KernelTarget {
  if (!software) return "tiled";
  return /swiftshader/i.test(`${name} ${architecture}`) ? "portable_small" : "portable";
}

/** Opens a device with the adapter's own limits. Kernels that must be compared can be forced with `target`. */
export async function openGpu(options: { readonly target?: KernelTarget } = {}): Promise<Gpu> {
  const adapter = await requestAdapter();
  const report = describeAdapter(adapter);
  const wanted: GPUFeatureName[] = ["timestamp-query"];
  const device = await adapter.requestDevice({
    label: "scrimp",
    requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
    requiredLimits: report.limits,
  });
  let uncaptured: Error | undefined;
  device.addEventListener("uncapturederror", (event) => {
    const { error } = event as GPUUncapturedErrorEvent;
    uncaptured ??= new Error(`WebGPU reported: ${error.message}`);
  });
  const lost = new Promise<DeviceLostError>((resolve) => {
    void device.lost.then(({ reason, message }) => resolve(new DeviceLostError(reason ?? "unknown", message)));
  });
  const target = options.target ?? targetFor(report);
  return { device, adapter: report, target, lost, uncaptured: () => uncaptured };
}

/** Runs `body` in error scopes, so that a failure surfaces where it was made. */
export async function checked<T>(device: GPUDevice, what: string, body: () => T | Promise<T>): Promise<T> {
  device.pushErrorScope("validation");
  device.pushErrorScope("out-of-memory");
  let result: T;
  let outOfMemory: GPUError | null, invalid: GPUError | null;
  try {
    result = await body();
  } finally {
    outOfMemory = await device.popErrorScope();
    invalid = await device.popErrorScope();
  }
  if (outOfMemory) {
    throw new OutOfMemoryError(
      `Cannot ${what}: the GPU is out of memory (${outOfMemory.message}). Use a smaller per_device_train_batch_size ` +
        "or max_length",
    );
  }
  if (invalid) throw new Error(`Cannot ${what}: ${invalid.message}`);
  return result;
}
