import type { AdapterReport, BytesByRole, TrainEvent, TrainingConfig, Variant } from "../src/index.ts";
import type { LedgerRow } from "../src/exports/plan.ts";

/** What the page learns about the GPU. */
export type DeviceReport =
  | { readonly found: true; readonly adapter: AdapterReport; readonly variant: Variant }
  | { readonly found: false; readonly reason: string };

/** Where a pretrained model is. */
export type ModelPlace =
  | { readonly kind: "files"; readonly name: string; readonly files: ReadonlyMap<string, File> }
  | { readonly kind: "hub"; readonly repository: string };

/** A pretrained model that was opened: its headers were read, its weights were not. */
export interface ModelReport {
  /** What settings call it. */
  readonly name: string;
  readonly model_type: string;
  /** Of its weights. */
  readonly bytes: number;
  /** Tokens, null where the folder has no tokenizer. */
  readonly vocab_size: number | null;
}

/** The memory of a run, before it starts. */
export interface PlanReport {
  /** Name of the model, "LLaMA" for a new one. */
  readonly model: string;
  readonly parameters: number;
  readonly trainable_parameters: number;
  readonly rows: readonly LedgerRow[];
  readonly bytes: BytesByRole;
}

/** The beginning of a chosen file. */
export interface Preview {
  /** How much there is, if that was counted. */
  readonly extent: string;
  readonly head: string;
}

/** What the page must fill in and ask for again to go on with a run. */
export interface Choices {
  /** Values of the form. */
  readonly fields: Readonly<Record<string, string>>;
  /** Names of the chosen folder and data file, where there is one: browsers do not keep them. */
  readonly folder: string | null;
  readonly file: string | null;
}

/** A run that has checkpoints in the browser's storage. */
export interface KeptRun {
  readonly name: string;
  /** For people: the model and how it is trained. */
  readonly title: string;
  readonly step: number;
  readonly max_steps: number;
  readonly choices: Choices;
}

export interface RunRequest {
  /** `model` names one that openModel() has opened, or is empty. */
  readonly config: TrainingConfig;
  /** The data to train on, or null for the built-in stories. */
  readonly file: File | null;
  readonly choices: Choices;
  /** Goes on from the newest checkpoint of the run of this name. */
  readonly goOn: boolean;
}

/** Everything a run tells the page, in order. A checkpoint's bytes stay in the Worker. */
export type RunEvent =
  | Exclude<TrainEvent, { type: "checkpoint" }>
  | {
    readonly type: "prepared";
    readonly plan: PlanReport;
    readonly summary: Readonly<Record<string, number | string>>;
    readonly vocab_size: number;
  }
  /** Bytes of a pretrained model: first to know it again, then on their way to the GPU. */
  | { readonly type: "loading"; readonly what: "Reading" | "Loading"; readonly done: number; readonly total: number }
  | { readonly type: "resumed"; readonly step: number }
  | { readonly type: "saved"; readonly step: number }
  | { readonly type: "note"; readonly message: string }
  | { readonly type: "paused" };

export type Listener = (events: readonly RunEvent[]) => void;

/** Files that a run can be taken away as, by name. */
export interface ResultFiles {
  readonly kind: "adapter" | "model";
  readonly names: readonly string[];
}

/** What the Worker does for the page. One run at a time. */
export interface TrainingApi {
  device(): Promise<DeviceReport>;
  openModel(place: ModelPlace): Promise<ModelReport>;
  /** Needs no GPU. */
  plan(config: TrainingConfig): PlanReport;
  /** Rejects what is neither text nor rows. */
  preview(file: File): Promise<Preview>;
  /** Settles when the run has ended. What it has trained stays on the GPU until the next one starts, for result(). */
  start(request: RunRequest, listener: Listener): Promise<readonly ResultFiles[]>;
  /** Makes one file of the last run. */
  result(kind: ResultFiles["kind"], name: string): Promise<Blob>;
  pause(): void;
  resume(): void;
  stop(): void;
}
