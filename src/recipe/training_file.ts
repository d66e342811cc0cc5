import type { FileIdentity } from "../checkpoint/model/pretrained.ts";
import { openSafetensors, type TensorFile } from "../checkpoint/safetensors/reader.ts";
import { writeSafetensors } from "../checkpoint/safetensors/writer.ts";
import type { ByteSource } from "../checkpoint/source/source.ts";
import type { StreamPosition } from "../data/stream.ts";
import type { SwitchingState } from "../optim/step/switching.ts";
import { ConfigError, type TrainingConfig } from "./config/config.ts";
import { checkWeights, type LayoutEntry, layoutHash, layoutOf, remap, type Remapping } from "../train/layout.ts";
import type { Run } from "./run.ts";
import { checkSettings, checkSteps, comparableSettings, type SavedSettings } from "./compatibility.ts";
import { persistentTensors } from "../train/programs.ts";
import type { TrainingState } from "../train/trainer.ts";

/** The files and data that a checkpoint depends on beside the settings. */
export interface TrainingContext {
  /** The files of the pretrained model, its tokenizer and the adapter that it began with, null without one. */
  readonly base: { readonly name: string; readonly files: readonly FileIdentity[] } | null;
  /** Fingerprint of the dataset. */
  readonly data: string;
}

/** The description of a checkpoint, in the header's `training`. */
interface Description extends TrainingContext {
  readonly step: number;
  readonly position: StreamPosition | null;
  readonly switching: SwitchingState;
  readonly config: SavedSettings;
  readonly layout: readonly LayoutEntry[];
  readonly layout_sha256: string;
  /** SHA-256 of the bytes of each tensor of the layout. */
  readonly sha256: readonly string[];
}

type Bytes = Uint8Array<ArrayBuffer>;
type Words = Uint32Array<ArrayBuffer>;

const DTYPES = { f32: "F32", bf16: "BF16" } as const;

/** A checkpoint whose bytes are not those that were written, or no checkpoint at all. */
export class DamagedCheckpointError extends RangeError {
  /** Tells this error from others across a Worker's border. */
  override name = "DamagedCheckpointError";
}

/**
 * A training state as the pieces of a safetensors file: weights and optimizer state in their own types, what has no
 * such type as its words. Step, settings, layout, data, the base model and the hash of each tensor stand in the header,
 * with a hash of that.
 */
export async function* encodeTraining(
  { step, position, switching, layout, tensors }: TrainingState,
  config: TrainingConfig,
  context: TrainingContext,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const entries = layout.map(({ name, shape, type }) => {
    const dtype = type === "f32" || type === "bf16" ? DTYPES[type] : "U32" as const;
    const words = tensors.get(name)!;
    const bytes = new Uint8Array(
      words.buffer,
      words.byteOffset,
      dtype === "BF16" ? 2 * shape.reduce((a, b) => a * b, 1) : words.byteLength,
    );
    return { name, dtype, shape: dtype === "U32" ? [words.length] : shape, bytes: bytes.length, data: bytes };
  });
  const sha256: string[] = [];
  for (const { data } of entries) sha256.push(await sha256Of(data));
  const description: Description = {
    step,
    position,
    switching,
    config: comparableSettings(config),
    layout,
    layout_sha256: layoutHash(layout),
    sha256,
    ...context,
  };
  const text = JSON.stringify(description),
    metadata = new Map([["training", text], ["training_sha256", await sha256Of(new TextEncoder().encode(text))]]);
  const data = new Map(entries.map((entry) => [entry.name, entry.data]));
  yield* writeSafetensors(entries, metadata, async function* (name) {
    yield data.get(name)!;
  });
}

const sha256Of = async (bytes: Bytes): Promise<string> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();

/** A checkpoint that was accepted. */
export interface OpenedTraining {
  /** The state that training continues from. */
  readonly state: TrainingState;
  /** Undefined: the run goes on exactly. Else what was matched by name. */
  readonly remapping: Remapping | undefined;
  /** Notes for the user. */
  readonly notes: readonly string[];
}

/** The parts of a run that a checkpoint must fit. */
export type Resuming = Pick<Run, "config" | "model" | "programs">;

/**
 * Reads a training checkpoint for a run.
 * @throws DamagedCheckpointError if it is damaged or something else; ConfigError or RangeError naming what differs from
 * the run, and the flag that allows it.
 */
export async function openTraining(
  source: ByteSource,
  { config, model, programs }: Resuming,
  context: TrainingContext,
): Promise<OpenedTraining> {
  const { file, description } = await describe(source), notes: string[] = [];
  checkSettings(description.config, config, true);
  checkSteps(description.config, description.step, config, notes);
  checkBase(description, config, context, notes);
  if (description.data !== context.data) {
    throw new ConfigError(
      `Cannot resume ${source.name}: it was trained on other data. Give the dataset that it was saved with`,
    );
  }
  const own = layoutOf([
    ...persistentTensors(programs),
    ...model.parameters.map(({ value }) => value).filter(({ role }) => role === "frozen"),
  ]);
  // Before a flag is recommended that would not help.
  checkWeights(description.layout, own);
  checkSettings(description.config, config, config.thaw || config.freeze_trained);
  const remapping = remap(description.layout, own, config), tensors = new Map<string, Words>();
  for (const [i, { name, role }] of description.layout.entries()) {
    if (!remapping || role !== "state") tensors.set(name, await readTensor(file, name, description.sha256[i]!));
  }
  if (remapping) {
    notes.push(
      `resumed by name: ${remapping.kept.length} weights kept, ${remapping.thawed.length} thawed, ` +
        `${remapping.frozen.length} frozen; the moments begin anew`,
    );
  }
  const { step, position, switching, layout } = description;
  return { state: { step, position, switching, layout, tensors }, remapping, notes };
}

/**
 * Reads the first of a run's checkpoints, the newest first, that is not damaged, and notes which are.
 * @throws as openTraining; DamagedCheckpointError if all of them are.
 */
export async function openNewest(
  [newest, ...older]: readonly ByteSource[],
  run: Resuming,
  context: TrainingContext,
): Promise<OpenedTraining> {
  try {
    return await openTraining(newest!, run, context);
  } catch (error) {
    if (!(error instanceof DamagedCheckpointError) || older.length === 0) throw error;
    const opened = await openNewest(older, run, context);
    return { ...opened, notes: [`${error.message}; going on with the checkpoint before it`, ...opened.notes] };
  }
}

const damaged = ({ name }: { readonly name: string }, problem: string): never => {
  throw new DamagedCheckpointError(
    `Cannot resume ${name}: ${problem}. Give a run's folder or one of its checkpoint files`,
  );
};

/** Turns the RangeError of a reader about missing or wrong bytes into a DamagedCheckpointError. */
async function whole<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof RangeError ? new DamagedCheckpointError(error.message, { cause: error }) : error;
  }
}

async function describe(source: ByteSource): Promise<{ readonly file: TensorFile; readonly description: Description }> {
  const file = await whole(openSafetensors(source)), text = file.metadata.get("training");
  if (text === undefined) return damaged(file, "it is not a training checkpoint");
  if (await sha256Of(new TextEncoder().encode(text)) !== file.metadata.get("training_sha256")) {
    damaged(file, "its description is damaged");
  }
  const description = JSON.parse(text) as Description;
  if (!Array.isArray(description.layout) || description.sha256?.length !== description.layout.length) {
    damaged(file, "its description is not one of this version");
  }
  if (layoutHash(description.layout) !== description.layout_sha256) {
    damaged(file, "its layout does not agree with its hash");
  }
  for (const { name } of description.layout) {
    if (!file.tensors.has(name)) damaged(file, `it lacks the tensor "${name}"`);
  }
  if (file.tensors.size !== description.layout.length) damaged(file, "it has tensors that its layout does not name");
  return { file, description };
}

async function readTensor(file: TensorFile, name: string, sha256: string): Promise<Words> {
  const entry = file.tensors.get(name)!, length = entry.end - entry.start;
  const words = new Uint32Array(Math.ceil(length / 4)), bytes = new Uint8Array(words.buffer, 0, length);
  let at = 0;
  const pieces = file.pieces(entry);
  for (let piece = await whole(pieces.next()); !piece.done; piece = await whole(pieces.next())) {
    bytes.set(piece.value, at);
    at += piece.value.length;
  }
  if (await sha256Of(bytes) !== sha256) damaged(file, `its tensor "${name}" is damaged`);
  return words;
}

function checkBase(
  { base: saved }: Description,
  { ignore_base_hash }: TrainingConfig,
  { base }: TrainingContext,
  notes: string[],
): void {
  const hashes = (of: TrainingContext["base"]): Map<string, string> =>
    new Map(of?.files.map(({ name, bytes, sha256 }) => [name, `${bytes} ${sha256}`]));
  const before = hashes(saved),
    now = hashes(base),
    changed = [...before.keys(), ...now.keys()].find((name) => before.get(name) !== now.get(name));
  if (changed === undefined && !saved === !base) return;
  const describe = (of: TrainingContext["base"], none: string): string => {
    const sha256 = of?.files.find(({ name }) => name === changed)?.sha256;
    return of
      ? `${of.name} (${sha256 === undefined ? `no ${changed}` : `${changed} of sha256 ${sha256.slice(0, 12)}…`})`
      : none;
  };
  const problem = `the checkpoint was trained on ${describe(saved, "no pretrained model")}, this run has ${
    describe(base, "none")
  }`;
  if (!ignore_base_hash) {
    throw new ConfigError(
      `Cannot resume: ${problem}. Give the same ${
        changed?.startsWith("adapter_") ? "--adapter" : "--model"
      }, or add --ignore_base_hash`,
    );
  }
  notes.push(`${problem}: going on all the same`);
}
