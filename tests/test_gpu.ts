// One device for the tests of a process or page. Most of a test's time in Chromium is the compiling of its kernels.

import { type Gpu, openGpu } from "../src/gpu/device.ts";

let opened: Promise<Gpu> | undefined;

/** The shared device. A test that loses or breaks its device opens one of its own. */
export const testGpu = (): Promise<Gpu> => (opened ??= openGpu());
