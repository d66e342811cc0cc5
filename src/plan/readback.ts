/** Bytes that are on their way to the host at once, unless a single range has more. */
const MOST_BYTES = 2 ** 24;

/** A part of a buffer. */
export interface BufferRange {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
}

/** Copies `bytes` of a buffer that is mapped for it. A CPU-GPU sync point. */
export async function readMapped(staging: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
  await staging.mapAsync(GPUMapMode.READ, 0, bytes);
  const copy = staging.getMappedRange(0, bytes).slice(0);
  staging.unmap();
  return copy;
}

/**
 * Copies ranges to the host, many with one wait: Deno notices the end of a wait every ten milliseconds only. The memory
 * that this takes on the device is freed again.
 */
export async function readRanges(device: GPUDevice, ranges: readonly BufferRange[]): Promise<ArrayBuffer[]> {
  const copies: ArrayBuffer[] = [];
  for (let first = 0, end: number; first < ranges.length; first = end) {
    let total = ranges[first]!.bytes;
    for (end = first + 1; end < ranges.length && total + ranges[end]!.bytes <= MOST_BYTES; end++) {
      total += ranges[end]!.bytes;
    }
    copies.push(...await readTogether(device, ranges.slice(first, end), total));
  }
  return copies;
}

async function readTogether(device: GPUDevice, ranges: readonly BufferRange[], total: number): Promise<ArrayBuffer[]> {
  const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
  const staging = device.createBuffer({ label: "read", size: total, usage }), encoder = device.createCommandEncoder();
  const starts: number[] = [];
  let start = 0;
  for (const { buffer, offset, bytes } of ranges) {
    encoder.copyBufferToBuffer(buffer, offset, staging, start, bytes);
    starts.push(start);
    start += bytes;
  }
  try {
    device.queue.submit([encoder.finish()]);
    const whole = await readMapped(staging, total);
    return ranges.map(({ bytes }, i) => (ranges.length === 1 ? whole : whole.slice(starts[i], starts[i]! + bytes)));
  } finally {
    staging.destroy();
  }
}
