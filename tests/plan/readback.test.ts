// Ranges of buffers come back bit by bit, however they are put together for a copy.

import { readRanges } from "../../src/plan/readback.ts";
import { assertEquals, test } from "../harness.ts";
import { testGpu } from "../test_gpu.ts";

const WORDS = 2 ** 22 + 3; // of each buffer: 16 MiB and a bit, more than is copied at once

test("readRanges(): parts of several buffers, in order, more of them than are copied at once", async () => {
  const { device } = await testGpu(), usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffers = [1, 2].map((factor) => {
    const buffer = device.createBuffer({ size: 4 * WORDS, usage });
    device.queue.writeBuffer(buffer, 0, Uint32Array.from({ length: WORDS }, (_, i) => factor * i));
    return { buffer, factor };
  });
  const parts = [[0, 0, 1], [1, 5, 3], [0, 7, 2 ** 21], [1, 0, 2 ** 21], [1, WORDS - 9, 9], [0, 0, WORDS], [1, 2, 2]];
  const ranges = parts.map(([which, start, length]) => ({
    buffer: buffers[which!]!.buffer,
    offset: 4 * start!,
    bytes: 4 * length!,
  }));
  const copies = await readRanges(device, ranges);
  assertEquals(copies.length, parts.length);
  parts.forEach(([which, start, length], i) => {
    const words = new Uint32Array(copies[i]!), { factor } = buffers[which!]!;
    assertEquals(words.length, length, `part ${i}`);
    assertEquals(words.findIndex((word, j) => word !== factor * (start! + j)), -1, `first wrong word of part ${i}`);
  });
  assertEquals(await readRanges(device, []), []);
  for (const { buffer } of buffers) buffer.destroy();
});
