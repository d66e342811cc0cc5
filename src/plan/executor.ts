import { checked, type Gpu } from "../gpu/device.ts";
import { unpack } from "../gpu/formats/index.ts";
import type { BoundKernel, DispatchSize } from "../gpu/kernel.ts";
import { type Counters, noCalls } from "./counters.ts";
import { type BytesByRole, bytesByRole, checkFits } from "./ledger.ts";
import { INPUTS, type Location, type MemoryPlan } from "./memory.ts";
import { type Data, piecesOf, type TensorPiece } from "./pieces.ts";
import { Pipelines } from "./pipelines.ts";
import { type BufferRange, readMapped, readRanges } from "./readback.ts";
import type { Program, Step } from "./recorder.ts";
import { bytesOf, size, type Tensor, TRANSIENT } from "./tensor.ts";

interface Encoded {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  /** Bytes from the start of the params buffer; undefined for a kernel without parameters. */
  readonly paramOffset: number | undefined;
  readonly dispatchSize: DispatchSize;
}

/**
 * Owns the buffers, pipelines and bind groups of a plan, all made by `create`. Running a program is one encoder, one
 * compute pass, one submit, and allocates nothing.
 */
export class Executor {
  /** The device that it runs on. */
  readonly gpu: Gpu;
  /** The place of each tensor. */
  readonly plan: MemoryPlan;
  /** Counts of WebGPU calls so far. */
  readonly counters: Counters = noCalls();
  readonly #encoded = new Map<Program, readonly Encoded[]>();
  readonly #groups = new Map<string, GPUBindGroup>();
  #buffers: GPUBuffer[] = [];
  #inputs = new Uint32Array(0);
  #hasRun = false;
  #pipelines!: Pipelines;
  #paramsGroup!: GPUBindGroup;

  private constructor(gpu: Gpu, plan: MemoryPlan) {
    this.gpu = gpu;
    this.plan = plan;
  }

  /**
   * Allocates and compiles everything. `onPipeline` is called for each compiled pipeline.
   * @throws RangeError if a buffer exceeds the adapter's limits, OutOfMemoryError if the device refuses it.
   */
  static async create(
    gpu: Gpu,
    plan: MemoryPlan,
    onPipeline: (done: number, total: number) => void = () => {},
  ): Promise<Executor> {
    checkFits(plan, gpu.device.limits);
    const executor = new Executor(gpu, plan);
    try {
      await checked(gpu.device, "allocate the plan", () => executor.#allocate());
      await checked(gpu.device, "compile the plan", () => executor.#compile(onPipeline));
    } catch (error) {
      executor.destroy();
      throw error;
    }
    return executor;
  }

  /** Encodes and submits a program once. */
  run(program: Program): void {
    this.#hasRun = true;
    this.#submit(this.#encoded.get(program)!);
  }

  /**
   * Copies host data into a tensor. Floats are packed to its type; u32 are its words as they are. With `first`, the
   * number of the first float or of the first word, the data are a piece of it, so that nobody needs to hold a large
   * tensor whole: numbers that are packed together (of a word, of a group) stay together.
   * @throws RangeError if the data do not fit the tensor, or if it is frozen and a program has run.
   */
  write(tensor: Tensor, data: Data, first?: number): void {
    const { buffer, offset, pieces } = this.#place(tensor, data, first);
    for (const { at, words } of pieces) {
      if (tensor.role === "input") this.#inputs.set(words, offset / 4 + at);
      this.gpu.device.queue.writeBuffer(this.#buffers[buffer]!, offset + 4 * at, words);
    }
  }

  /**
   * Copies host data into input tensors, all in one write: they sit in one buffer, which the host mirrors, gaps
   * included.
   */
  writeInputs(inputs: ReadonlyMap<Tensor, Data>): void {
    let start = Infinity, end = 0, target = 0;
    for (const [tensor, data] of inputs) {
      const { buffer, offset, pieces } = this.#place(tensor, data);
      for (const { at, words } of pieces) this.#inputs.set(words, offset / 4 + at);
      start = Math.min(start, offset);
      end = Math.max(end, offset + bytesOf(tensor));
      target = buffer;
    }
    if (end > 0) {
      this.gpu.device.queue.writeBuffer(this.#buffers[target]!, start, this.#inputs, start / 4, (end - start) / 4);
    }
  }

  /**
   * Copies a tensor's numbers to the host, unpacked to f32. Waits for everything submitted so far: a CPU-GPU sync
   * point.
   */
  async read(tensor: Tensor): Promise<Float32Array<ArrayBuffer>> {
    const words = await this.readWords(tensor);
    return unpack(tensor.type === "u32" ? "f32" : tensor.type, words, size(tensor));
  }

  /** Copies a tensor's words to the host as they are: for u32 tensors and for comparing bits. */
  async readWords(tensor: Tensor): Promise<Uint32Array<ArrayBuffer>> {
    return new Uint32Array(await this.#readBytes(tensor));
  }

  /** Copies the words of several tensors, in fewer waits than one by one. */
  async readAllWords(tensors: readonly Tensor[]): Promise<Uint32Array<ArrayBuffer>[]> {
    const ranges = tensors.map((tensor) => this.#rangeOf(tensor));
    return (await readRanges(this.gpu.device, ranges)).map((bytes) => new Uint32Array(bytes));
  }

  /**
   * Runs a program step by step and reads everything each step wrote, until a number is not finite: finds where a loss
   * went bad. Slow, and only meaningful before the update of a step has spoilt the weights.
   */
  async firstNonFinite(program: Program): Promise<{ readonly tensor: Tensor; readonly kernel: string } | undefined> {
    const encoded = this.#encoded.get(program)!;
    const seen = new Set<Tensor>();
    for (const [index, step] of program.steps.entries()) {
      const inputs = step.tensors.filter((t) => !TRANSIENT.has(t.role) && t.role !== "output" && !seen.has(t));
      for (const tensor of inputs) {
        if (tensor.type !== "u32" && (seen.add(tensor), await this.#isBad(tensor))) {
          return { tensor, kernel: "before the step" };
        }
      }
      this.#submit(encoded.slice(index, index + 1));
      const access = Object.values(step.kernel.bindings);
      for (const [i, tensor] of step.tensors.entries()) {
        if (access[i] === "read_write" && tensor.type !== "u32" && await this.#isBad(tensor)) {
          return { tensor, kernel: step.kernel.name };
        }
      }
    }
    return undefined;
  }

  /** Bytes of the buffers that exist, by role. */
  get allocatedBytes(): BytesByRole {
    return bytesByRole(this.plan.buffers.map((buffer, i) => ({ ...buffer, bytes: this.#buffers[i]?.size ?? 0 })));
  }

  /** Frees every buffer. The executor is of no use afterwards. */
  destroy(): void {
    for (const buffer of this.#buffers) buffer.destroy();
    this.#buffers = [];
    this.#encoded.clear();
    this.#groups.clear();
  }

  #submit(encoded: readonly Encoded[]): void {
    const encoder = this.gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    let pipeline: GPUComputePipeline | undefined;
    for (const step of encoded) {
      if (step.pipeline !== pipeline) pass.setPipeline(pipeline = step.pipeline);
      pass.setBindGroup(0, step.group);
      if (step.paramOffset !== undefined) pass.setBindGroup(1, this.#paramsGroup, [step.paramOffset]);
      pass.dispatchWorkgroups(...(step.dispatchSize as [number, number, number]));
    }
    pass.end();
    this.gpu.device.queue.submit([encoder.finish()]);
    this.counters.submits++;
    this.counters.dispatches += encoded.length;
  }

  async #readBytes(tensor: Tensor): Promise<ArrayBuffer> {
    const range = this.#rangeOf(tensor);
    // Outputs have a planned staging buffer; other tensors are read rarely (checkpoints, tests).
    if (tensor.role !== "output") return (await readRanges(this.gpu.device, [range]))[0]!;
    const { buffer, offset, bytes } = range, { device } = this.gpu;
    const staging = this.#buffers[this.plan.stagingBuffer]!, encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, offset, staging, 0, bytes);
    device.queue.submit([encoder.finish()]);
    return await readMapped(staging, bytes);
  }

  #rangeOf(tensor: Tensor): BufferRange {
    const { buffer, offset } = this.plan.location.get(tensor)!;
    return { buffer: this.#buffers[buffer]!, offset, bytes: bytesOf(tensor) };
  }

  async #isBad(tensor: Tensor): Promise<boolean> {
    return (await this.read(tensor)).some((value) => !Number.isFinite(value));
  }

  /** The location of a tensor, and the pieces of it that the data are. */
  #place(tensor: Tensor, data: Data, first?: number): Location & { readonly pieces: readonly TensorPiece[] } {
    const location = this.plan.location.get(tensor);
    if (!location) throw new RangeError(`Cannot write ${tensor.label}: no step of the plan uses it`);
    if (tensor.role === "frozen" && this.#hasRun) {
      throw new RangeError(
        `Cannot write ${tensor.label}: it is frozen and a program has run. Write it before the first run`,
      );
    }
    return { ...location, pieces: piecesOf(tensor, data, first) };
  }

  #allocate(): void {
    this.#inputs = new Uint32Array((this.plan.buffers.find(({ label }) => label === INPUTS)?.bytes ?? 0) / 4);
    this.#buffers = this.plan.buffers.map((buffer, index) => {
      this.counters.buffersCreated++;
      return this.gpu.device.createBuffer({ label: buffer.label, size: buffer.bytes, usage: this.#usage(index) });
    });
    this.gpu.device.queue.writeBuffer(this.#buffers[this.plan.paramsBuffer]!, 0, packParams(this.plan));
  }

  #usage(index: number): number {
    if (index === this.plan.paramsBuffer) {
      return GPUBufferUsage.UNIFORM | GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    }
    if (index === this.plan.stagingBuffer) return GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    return GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  }

  async #compile(onPipeline: (done: number, total: number) => void): Promise<void> {
    this.#pipelines = Pipelines.of(this.gpu);
    const params = this.#buffers[this.plan.paramsBuffer]!;
    this.#paramsGroup = this.gpu.device.createBindGroup({
      label: "params",
      layout: this.#pipelines.paramsLayout,
      entries: [{ binding: 0, resource: { buffer: params, size: 256 } }],
    });
    this.counters.bindGroupsCreated++;
    const kernels = new Set(this.plan.programs.flatMap(({ steps }) => steps.map(({ kernel }) => kernel)));
    const pipelines = new Map<BoundKernel, GPUComputePipeline>();
    let done = 0;
    await Promise.all([...kernels].map(async (kernel) => {
      if (!this.#pipelines.has(kernel)) this.counters.pipelinesCreated++;
      pipelines.set(kernel, await this.#pipelines.compile(kernel));
      onPipeline(++done, kernels.size);
    }));
    for (const program of this.plan.programs) {
      this.#encoded.set(program, program.steps.map((step) => this.#encode(step, pipelines.get(step.kernel)!)));
    }
  }

  #encode(step: Step, pipeline: GPUComputePipeline): Encoded {
    const locations = step.tensors.map((tensor) => this.plan.location.get(tensor)!);
    const sizes = step.tensors.map(bytesOf);
    const key = `${Object.values(step.kernel.bindings).join()}|${
      locations.map(({ buffer, offset }, i) => `${buffer}+${offset}:${sizes[i]}`).join()
    }`;
    let group = this.#groups.get(key);
    if (!group) {
      group = this.gpu.device.createBindGroup({
        label: step.kernel.name,
        layout: this.#pipelines.layout(step.kernel),
        entries: locations.map(({ buffer, offset }, binding) => ({
          binding,
          resource: { buffer: this.#buffers[buffer]!, offset, size: sizes[binding]! },
        })),
      });
      this.counters.bindGroupsCreated++;
      this.#groups.set(key, group);
    }
    const paramOffset = Object.keys(step.kernel.params).length > 0 ? this.plan.paramOffsets.get(step) : undefined;
    return { pipeline, group, paramOffset, dispatchSize: step.dispatchSize };
  }
}

function packParams({ buffers, paramsBuffer, paramOffsets }: MemoryPlan): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(buffers[paramsBuffer]!.bytes));
  for (const [step, offset] of paramOffsets) {
    Object.entries(step.kernel.params).forEach(([name, type], i) => {
      const value = step.params[name]!, at = offset + 4 * i;
      if (type === "f32") view.setFloat32(at, value, true);
      else if (type === "i32") view.setInt32(at, value, true);
      else view.setUint32(at, value, true);
    });
  }
  return view.buffer;
}
