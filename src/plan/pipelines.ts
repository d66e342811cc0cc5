import type { Gpu } from "../gpu/device.ts";
import type { BoundKernel } from "../gpu/kernel.ts";

/**
 * The compiled kernels of a device: each is compiled once, however many executors use it. Kernels with the same pattern
 * of access share a bind group layout.
 */
export class Pipelines {
  static readonly #ofDevices = new WeakMap<GPUDevice, Pipelines>();

  readonly #device: GPUDevice;
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #compiled = new Map<BoundKernel, Promise<GPUComputePipeline>>();
  /** Group 1 of every kernel with parameters: one block of them, at an offset that is given at each launch. */
  readonly paramsLayout: GPUBindGroupLayout;
  /**
   * Params are in storage on llvmpipe: where a uniform bounds a loop, it puts the value into the machine code, and
   * compiles the kernel anew at every launch with another value (1 MB of memory a step at the smallest shapes).
   */
  readonly #paramsInStorage: boolean;

  /** The pipelines of a device, which last as long as it does. */
  static of(gpu: Gpu): Pipelines {
    let pipelines = Pipelines.#ofDevices.get(gpu.device);
    if (!pipelines) Pipelines.#ofDevices.set(gpu.device, pipelines = new Pipelines(gpu));
    return pipelines;
  }

  private constructor({ device, target }: Gpu) {
    this.#device = device;
    this.#paramsInStorage = target === "portable";
    this.paramsLayout = device.createBindGroupLayout({
      label: "params",
      entries: [{
        binding: 0,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: this.#paramsInStorage ? "read-only-storage" : "uniform", hasDynamicOffset: true },
      }],
    });
  }

  /** Explicit layouts, one for each pattern of access: WebGPU then checks every shader against what the host binds. */
  layout({ bindings }: BoundKernel): GPUBindGroupLayout {
    const key = Object.values(bindings).join();
    let layout = this.#layouts.get(key);
    if (!layout) {
      const entries = Object.values(bindings).map((access, binding) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: access === "read" ? "read-only-storage" as const : "storage" as const },
      }));
      layout = this.#device.createBindGroupLayout({ label: key, entries });
      this.#layouts.set(key, layout);
    }
    return layout;
  }

  /** True if a kernel is compiled already, or about to be. */
  has(kernel: BoundKernel): boolean {
    return this.#compiled.has(kernel);
  }

  /** Compiles a kernel, if it is not. @throws Error with the compiler's messages and their places. */
  compile(kernel: BoundKernel): Promise<GPUComputePipeline> {
    let pipeline = this.#compiled.get(kernel);
    if (!pipeline) {
      pipeline = this.#compile(kernel);
      this.#compiled.set(kernel, pipeline);
      // A device that was short of memory may have more the next time.
      pipeline.catch(() => this.#compiled.delete(kernel));
    }
    return pipeline;
  }

  async #compile(kernel: BoundKernel): Promise<GPUComputePipeline> {
    const bindGroupLayouts = [this.layout(kernel)];
    if (Object.keys(kernel.params).length > 0) bindGroupLayouts.push(this.paramsLayout);
    const code = this.#paramsInStorage
      ? kernel.source.replace(/var<uniform>\s*params/, "var<storage, read> params")
      : kernel.source;
    const module = this.#device.createShaderModule({ label: kernel.name, code });
    try {
      return await this.#device.createComputePipelineAsync({
        label: kernel.name,
        layout: this.#device.createPipelineLayout({ label: kernel.name, bindGroupLayouts }),
        compute: { module, entryPoint: "main" },
      });
    } catch (error) {
      const { messages } = await module.getCompilationInfo();
      const details = messages.map(({ lineNum, linePos, message }) => `line ${lineNum}:${linePos} ${message}`);
      throw new Error(
        `Cannot compile kernel "${kernel.name}" ${JSON.stringify(kernel.constants)}: ${(error as Error).message} ${
          details.join("; ")
        }`,
      );
    }
  }
}
