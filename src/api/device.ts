import { type Gpu, openGpu } from "../gpu/device.ts";
import { type Guard, guardAgainstLoss } from "../gpu/device_loss.ts";

/** The device of a model: one that was given, or one that is opened for it and goes with it. Work takes turns. */
export class Device {
  #gpu: Gpu;
  #isOwn: boolean;
  #guard: Guard;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(gpu: Gpu, isOwn: boolean) {
    this.#gpu = gpu;
    this.#isOwn = isOwn;
    this.#guard = guardAgainstLoss(gpu);
  }

  /** @throws NoAdapterError */
  static async open(given: Gpu | undefined): Promise<Device> {
    return new Device(given ?? await openGpu(), given === undefined);
  }

  get gpu(): Gpu {
    return this.#gpu;
  }

  /** Opens a device in the place of one that is lost. */
  async reopen(): Promise<Gpu> {
    this.#gpu = await openGpu();
    this.#isOwn = true;
    this.#guard = guardAgainstLoss(this.#gpu);
    return this.#gpu;
  }

  /** Works with the device once earlier work is done. @throws DeviceLostError, or whatever the work throws. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(() => this.#guard(work()));
    this.#last = mine.catch(() => {});
    return await mine;
  }

  close(): void {
    if (this.#isOwn) this.#gpu.device.destroy();
  }
}

/** Bytes that may still be used, where the GPU is the CPU and somebody tells; Infinity elsewhere. */
export function availableBytes({ adapter }: Gpu): number {
  if (!adapter.software) return Infinity;
  const { Deno, navigator } = globalThis as {
    readonly Deno?: {
      readonly permissions: { querySync(of: { name: "sys"; kind: "systemMemoryInfo" }): { readonly state: string } };
      systemMemoryInfo(): { readonly available: number };
    };
    readonly navigator?: { readonly deviceMemory?: number };
  };
  if (!Deno) return (navigator?.deviceMemory ?? Infinity) * 2 ** 30;
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" });
  return state === "granted" ? Deno.systemMemoryInfo().available : Infinity;
}
