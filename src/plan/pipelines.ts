import type { Gpu } from "../gpu/device.ts";
import type { Kernel } from "../gpu/kernel.ts";

/** Compiles kernels for one device. Kernels with the same pattern of access share a bind group layout. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  /** Group 1 of every kernel with parameters: one block of them, at an offset that is given at each launch. */
  readonly paramsLayout: GPUBindGroupLayout;
  /**
   * Params are in storage on llvmpipe: where a uniform bounds a loop, it puts the value into the machine code, and
   * compiles the kernel anew at every launch with another value (1 MB of memory a step at the smallest shapes).
   */
  readonly #paramsInStorage: boolean;

  constructor({ device, target }: Gpu) {
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
  layout({ bindings }: Kernel): GPUBindGroupLayout {
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

  /** Compiles a kernel. @throws Error with the compiler's messages and their places. */
  async compile(kernel: Kernel): Promise<GPUComputePipeline> {
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
