import { DeviceLostError, type Gpu } from "../gpu/device.ts";

/**
 * Waits before each attempt to open the device: a driver or a browser may need a moment. The second loss begins with
 * the second.
 */
const BACKOFF_SECONDS = [1, 2, 4];
/** So many losses within this time are no accident. */
const GIVE_UP_AT = 3, WINDOW_MINUTES = 10;

/** The effects of recovery on the world, which a test can replace. */
export interface RecoveryOptions {
  /** Opens a device in place of the lost one. */
  readonly reopen: () => Promise<Gpu>;
  /** Waits for a number of seconds; tests need not. */
  readonly wait?: (seconds: number) => Promise<void>;
  /** Milliseconds. */
  readonly now?: () => number;
}

/** Opens the device again after each loss of it, later each time, and gives up at the third loss in ten minutes. */
export class Recovery {
  readonly #options: Required<RecoveryOptions>;
  #losses: number[] = [];

  constructor(
    {
      reopen,
      wait = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds)),
      now = () => performance.now(),
    }: RecoveryOptions,
  ) {
    this.#options = { reopen, wait, now };
  }

  /**
   * A new device like `old`.
   * @throws the error itself unless it is a DeviceLostError; DeviceLostError at the third loss in ten minutes; Error if
   * another adapter answers.
   */
  async after(error: unknown, old: Gpu): Promise<Gpu> {
    if (!(error instanceof DeviceLostError)) throw error;
    const { now } = this.#options;
    this.#losses = [...this.#losses.filter((at) => now() - at < WINDOW_MINUTES * 60_000), now()];
    if (this.#losses.length >= GIVE_UP_AT) {
      throw new DeviceLostError("third time in ten minutes", `${error.message}. Not trying again`);
    }
    const gpu = await this.#open(BACKOFF_SECONDS.slice(this.#losses.length - 1));
    if (gpu.target !== old.target || gpu.adapter.name !== old.adapter.name) {
      throw new Error(
        `Cannot go on after the loss of ${old.adapter.name}: the adapter is now ${gpu.adapter.name}, which computes ` +
          "other bits. Resume from the last checkpoint",
      );
    }
    return gpu;
  }

  async #open([seconds, ...later]: readonly number[]): Promise<Gpu> {
    const { reopen, wait } = this.#options;
    await wait(seconds!);
    try {
      return await reopen();
    } catch (error) {
      if (later.length === 0) throw error;
      return await this.#open(later);
    }
  }
}
