// Counts what a contestant asks of WebGPU, by wrapping the calls themselves: the same ruler for both, whatever either
// one says about itself. A count is exact on any adapter, while times on a software adapter are only times there.

/** What was asked for since `take` was last called, and the bytes of buffers that live now. */
export interface Tally {
  dispatches: number;
  submits: number;
  /** The most bytes of buffers alive at once, those of earlier blocks included; a buffer lives until `destroy()`. */
  peakBytes: number;
}

interface Owner {
  dispatches: number;
  submits: number;
  bytes: number;
  peakBytes: number;
}

const owners = new Map<string, Owner>();
const buffers = new WeakMap<GPUBuffer, Owner>();
let current: Owner | undefined;

function wrap<T extends object, K extends keyof T>(prototype: T, name: K, after: (self: T, result: unknown) => void): void {
  const original = prototype[name] as (...args: unknown[]) => unknown;
  prototype[name] = function (this: T, ...args: unknown[]) {
    const result = original.apply(this, args);
    after(this, result);
    return result;
  } as T[K];
}

/** Starts counting. Call once, before the first device is made. */
export function installTally(): void {
  const dispatched = () => {
    if (current) current.dispatches++;
  };
  wrap(GPUComputePassEncoder.prototype, "dispatchWorkgroups", dispatched);
  wrap(GPUComputePassEncoder.prototype, "dispatchWorkgroupsIndirect", dispatched);
  wrap(GPUQueue.prototype, "submit", () => {
    if (current) current.submits++;
  });
  wrap(GPUDevice.prototype, "createBuffer", (_, buffer) => {
    if (!current) return;
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

/** Everything until `take` is asked for by `name`. A buffer stays its owner's until it is destroyed. */
export function give(name: string): void {
  current = owners.get(name) ?? { dispatches: 0, submits: 0, bytes: 0, peakBytes: 0 };
  owners.set(name, current);
}

/** Ends the count that `give` began. */
export function take(): Tally {
  const { dispatches, submits, peakBytes } = current!;
  Object.assign(current!, { dispatches: 0, submits: 0 });
  current = undefined;
  return { dispatches, submits, peakBytes };
}
