/** Counts of WebGPU calls since the executor was made. */
export interface Counters {
  /** Command buffers submitted. */
  submits: number;
  /** Kernels launched. */
  dispatches: number;
  /** GPU buffers made. */
  buffersCreated: number;
  /** Bind groups made. */
  bindGroupsCreated: number;
  /** Kernels compiled. */
  pipelinesCreated: number;
}

/** The counts before the first call. */
export const noCalls = (): Counters => ({
  submits: 0,
  dispatches: 0,
  buffersCreated: 0,
  bindGroupsCreated: 0,
  pipelinesCreated: 0,
});
