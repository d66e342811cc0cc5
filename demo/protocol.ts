import type { AdapterReport, BytesByRole, LedgerRow, TrainEvent, TrainingConfig, Variant } from "../src/index.ts";

/** What the page learns about the GPU. */
export type DeviceReport =
  | { readonly found: true; readonly adapter: AdapterReport; readonly variant: Variant }
  | { readonly found: false; readonly reason: string };

/** The memory of a run, before it starts. */
export interface PlanReport {
  readonly parameters: number;
  readonly rows: readonly LedgerRow[];
  readonly bytes: BytesByRole;
}

/** The beginning of a chosen text. */
export interface Preview {
  readonly characters: number;
  readonly head: string;
}

/** Everything a run tells the page, in order. */
export type RunEvent =
  | TrainEvent
  | { readonly type: "prepared"; readonly plan: PlanReport; readonly summary: Readonly<Record<string, number | string>>; readonly vocab_size: number }
  | { readonly type: "paused" };

export type Listener = (events: readonly RunEvent[]) => void;

/** What the Worker does for the page. One run at a time. */
export interface TrainingApi {
  device(): Promise<DeviceReport>;
  /** Needs no GPU. */
  plan(config: TrainingConfig): PlanReport;
  /** Rejects what is no text. */
  preview(file: Blob): Promise<Preview>;
  /**
   * Settles when the run has ended and everything it had on the GPU is freed.
   * @param file the text to train on, or null for the built-in stories.
   */
  start(config: TrainingConfig, file: Blob | null, listener: Listener): Promise<void>;
  pause(): void;
  resume(): void;
  stop(): void;
}
