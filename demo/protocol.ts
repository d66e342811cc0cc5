import type { AdapterReport, BytesByRole, KernelTarget, TrainEvent, TrainingConfig } from "../src/index.ts";
import type { LedgerRow } from "../src/exports/plan.ts";

/** The GPU as the page shows it. */
export type DeviceReport =
  | { readonly found: true; readonly adapter: AdapterReport; readonly target: KernelTarget }
  | { readonly found: false; readonly reason: string };

/** The place of a pretrained model. */
export type ModelPlace =
  | { readonly kind: "files"; readonly name: string; readonly files: ReadonlyMap<string, File> }
  | { readonly kind: "hub"; readonly repository: string };

/** A pretrained model that was opened: its headers were read, its weights were not. */
export interface ModelReport {
  /** Name of the model in settings. */
  readonly name: string;
  readonly model_type: string;
  /** Bytes of its weights. */
  readonly bytes: number;
  /** Number of tokens, null if the folder has no tokenizer. */
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
  /** Size of the data, if that was counted. */
  readonly extent: string;
  readonly head: string;
}

/** The choices that the page must fill in or request again to go on with a run. */
export interface Choices {
  /** Values of the form. */
  readonly fields: Readonly<Record<string, string>>;
  /** Names of the chosen folder and data file, if there is one: browsers do not keep the files. */
  readonly folder: string | null;
  readonly file: string | null;
}

/** A run that has checkpoints in the browser's storage. */
export interface KeptRun {
  readonly name: string;
  /** Title for people: the model and its training. */
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
  /** True to go on from the newest checkpoint of the run of this name. */
  readonly goOn: boolean;
}

/** Events of a run for the page, in order. A checkpoint's bytes stay in the Worker. */
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

/** Files in which a run's result can be taken away, by name. */
export interface ResultFiles {
  readonly kind: "adapter" | "model";
  readonly names: readonly string[];
}

/** Calls of the page to the Worker. One run at a time. */
export interface TrainingApi {
  device(): Promise<DeviceReport>;
  openModel(place: ModelPlace): Promise<ModelReport>;
  /** Plans a run; needs no GPU. */
  plan(config: TrainingConfig): PlanReport;
  /** Reads the beginning of a file; rejects one that is neither text nor rows. */
  preview(file: File): Promise<Preview>;
  /** Trains; settles when the run has ended. Its model stays on the GPU for result() until the next one starts. */
  start(request: RunRequest, listener: Listener): Promise<readonly ResultFiles[]>;
  /** Makes one file of the last run. */
  result(kind: ResultFiles["kind"], name: string): Promise<Blob>;
  pause(): void;
  resume(): void;
  stop(): void;
}
