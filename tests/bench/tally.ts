// Counts what is asked of WebGPU, by wrapping the calls themselves: the same ruler for everyone, whatever anyone
// says about itself. A count is exact on any adapter, while times on a software adapter are only times there.

export interface Counts {
  submits: number;
  passes: number;
  dispatches: number;
  buffers: number;
  bindGroups: number;
  pipelines: number;
  shaderModules: number;
}

/** Counts since `take` was last called, and the bytes of buffers that live now. */
export interface Tally extends Counts {
  /** The most bytes of buffers alive at once, those of earlier blocks included; a buffer lives until `destroy()`. */
  readonly peakBytes: number;
}

interface Owner {
  counts: Counts;
  bytes: number;
  peakBytes: number;
}

const NOTHING: Counts = {
  submits: 0,
  passes: 0,
  dispatches: 0,
  buffers: 0,
  bindGroups: 0,
  pipelines: 0,
  shaderModules: 0,
};

const owners = new Map<string, Owner>();
const buffers = new WeakMap<GPUBuffer, Owner>();
let current: Owner | undefined;

function wrap<T extends object, K extends keyof T>(
  prototype: T,
  name: K,
  after: (self: T, result: unknown) => void,
): void {
  const original = prototype[name] as (...args: unknown[]) => unknown;
  prototype[name] = function (this: T, ...args: unknown[]) {
    const result = original.apply(this, args);
    after(this, result);
    return result;
  } as T[K];
}

/** Starts counting. Call once, before the first buffer is made. */
export function installTally(): void {
  const count = (what: keyof Counts) => () => {
    if (current) current.counts[what]++;
  };
  wrap(GPUComputePassEncoder.prototype, "dispatchWorkgroups", count("dispatches"));
  wrap(GPUComputePassEncoder.prototype, "dispatchWorkgroupsIndirect", count("dispatches"));
  wrap(GPUCommandEncoder.prototype, "beginComputePass", count("passes"));
  wrap(GPUQueue.prototype, "submit", count("submits"));
  wrap(GPUDevice.prototype, "createBindGroup", count("bindGroups"));
  wrap(GPUDevice.prototype, "createComputePipeline", count("pipelines"));
  wrap(GPUDevice.prototype, "createComputePipelineAsync", count("pipelines"));
  wrap(GPUDevice.prototype, "createShaderModule", count("shaderModules"));
  wrap(GPUDevice.prototype, "createBuffer", (_, buffer) => {
    if (!current) return;
    current.counts.buffers++;
    buffers.set(buffer as GPUBuffer, current);
    current.bytes += (buffer as GPUBuffer).size;
    current.peakBytes = Math.max(current.peakBytes, current.bytes);
  });
  wrap(GPUBuffer.prototype, "destroy", (buffer) => {
    const owner = buffers.get(buffer);
    if (owner) owner.bytes -= buffer.size;
    buffers.delete(buffer);
  });
}

/** Everything from now on is asked for by `name`. A buffer stays its owner's until it is destroyed. */
export function give(name: string): void {
  current = owners.get(name) ?? { counts: { ...NOTHING }, bytes: 0, peakBytes: 0 };
  owners.set(name, current);
}

/** Ends the count that `give` began. */
export function take(): Tally {
  const { counts, peakBytes } = current!;
  current!.counts = { ...NOTHING };
  current = undefined;
  return { ...counts, peakBytes };
}

/** Counts of `name` so far. It goes on counting. */
export function countsOf(name: string): Counts {
  return { ...(owners.get(name)?.counts ?? NOTHING) };
}

/** Bytes of all counted buffers that live now, whoever made them. */
export function aliveBytes(): number {
  return [...owners.values()].reduce((sum, { bytes }) => sum + bytes, 0);
}
