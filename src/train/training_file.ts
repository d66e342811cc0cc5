import type { FileIdentity } from "../checkpoint/model/pretrained.ts";
import type { TensorEntry } from "../checkpoint/safetensors/header.ts";
import { openSafetensors, type TensorFile } from "../checkpoint/safetensors/reader.ts";
import { writeSafetensors } from "../checkpoint/safetensors/writer.ts";
import type { ByteSource } from "../checkpoint/source/source.ts";
import type { StreamPosition } from "../data/stream.ts";
import type { SwitchingState } from "../optim/step/switching.ts";
import { ConfigError, type TrainingConfig } from "./config.ts";
import { type LayoutEntry, layoutHash, remap, type Remapping } from "./layout.ts";
import type { TrainingState } from "./trainer.ts";

/** What a checkpoint depends on beside the settings. */
export interface TrainingContext {
  /** The files of the pretrained model, null without one. */
  readonly base: { readonly name: string; readonly files: readonly FileIdentity[] } | null;
  /** Fingerprint of the dataset. */
  readonly data: string;
}

/** What a checkpoint says of itself, in the header's `training`. */
interface Description extends TrainingContext {
  readonly step: number;
  readonly position: StreamPosition | null;
  readonly switching: SwitchingState;
  readonly config: Readonly<Record<string, unknown>>;
  readonly layout: readonly LayoutEntry[];
  readonly layout_sha256: string;
}

/** Settings that a resumed run may have otherwise: they do not change what a step computes. */
const FREE: ReadonlySet<string> = new Set([
  ...["output_dir", "run_name", "resume_from_checkpoint", "save_steps", "save_total_limit", "logging_steps", "model", "revision", "dataset"],
  ...["sample_steps", "sample_tokens", "prompt", "temperature", "top_k", "thaw", "freeze_trained", "ignore_base_hash"],
]);
/** And those that say what is trained, if the user allows that to change. */
const WHAT_IS_TRAINED: ReadonlySet<string> = new Set(["frozen_modules", "trainable_modules", "peft", "adapter"]);

const bound = (config: Readonly<Record<string, unknown>>): Record<string, unknown> => Object.fromEntries(Object.entries(config).filter(([key]) => !FREE.has(key)));

const DTYPES = { f32: "F32", bf16: "BF16" } as const;

/**
 * A training state as the pieces of a safetensors file: weights and optimizer state in their own types, what has no such type as its words. Step,
 * settings, layout, data and the base model stand in the header.
 */
export function encodeTraining({ step, position, switching, layout, tensors }: TrainingState, config: TrainingConfig, context: TrainingContext): AsyncIterable<Uint8Array<ArrayBuffer>> {
  const description: Description = { step, position, switching, config: bound(config), layout, layout_sha256: layoutHash(layout), ...context };
  const entries = layout.map(({ name, shape, type }) => {
    const dtype = type === "f32" || type === "bf16" ? DTYPES[type] : "U32" as const;
    const words = tensors.get(name)!.length;
    return { name, dtype, shape: dtype === "U32" ? [words] : shape, bytes: dtype === "BF16" ? 2 * shape.reduce((a, b) => a * b, 1) : 4 * words };
  });
  const bytes = new Map(entries.map((entry) => [entry.name, entry.bytes]));
  return writeSafetensors(entries, new Map([["training", JSON.stringify(description)]]), async function* (name) {
    const words = tensors.get(name)!;
    yield new Uint8Array(words.buffer, words.byteOffset, bytes.get(name)!);
  });
}

/** A checkpoint that was accepted. */
export interface OpenedTraining {
  readonly state: TrainingState;
  /** Undefined: the run goes on exactly. Else what was matched by name. */
  readonly remapping: Remapping | undefined;
  /** What the user should know. */
  readonly notes: readonly string[];
}

/**
 * Reads a training checkpoint for a run.
 * @throws RangeError if it is damaged or something else; ConfigError or RangeError naming what differs from the run, and the flag that allows it.
 */
export async function openTraining(source: ByteSource, config: TrainingConfig, layout: readonly LayoutEntry[], context: TrainingContext): Promise<OpenedTraining> {
  const file = await openSafetensors(source);
  const description = describe(file);
  const isExact = description.layout_sha256 === layoutHash(layout);
  const notes: string[] = [];
  checkSettings(description, config);
  checkBase(description, config, context, notes);
  if (description.data !== context.data) throw new ConfigError(`Cannot resume ${source.name}: it was trained on other data. Give the dataset that it was saved with`);
  const remapping = isExact ? undefined : remap(description.layout, layout, config);
  const wanted = remapping ? new Set([...remapping.kept, ...remapping.frozen]) : undefined;
  const tensors = new Map<string, Uint32Array<ArrayBuffer>>();
  for (const entry of file.tensors.values()) if (!wanted || wanted.has(entry.name)) tensors.set(entry.name, await readWords(file, entry));
  if (remapping) notes.push(`resumed by name: ${remapping.kept.length} weights kept, ${remapping.thawed.length} thawed, ${remapping.frozen.length} frozen; the moments begin anew`);
  const { step, position, switching } = description;
  return { state: { step, position, switching, layout: description.layout, tensors }, remapping, notes };
}

function describe(file: TensorFile): Description {
  const text = file.metadata.get("training");
  const refuse = (problem: string): never => {
    throw new RangeError(`Cannot resume ${file.name}: ${problem}. Give a run's folder or one of its checkpoint files`);
  };
  if (text === undefined) return refuse("it is not a training checkpoint");
  let description: Description;
  try {
    description = JSON.parse(text) as Description;
  } catch {
    return refuse("its description is not JSON");
  }
  if (!Number.isSafeInteger(description.step) || !Array.isArray(description.layout)) return refuse("its description is not one of this version");
  if (layoutHash(description.layout) !== description.layout_sha256) refuse("its layout does not agree with its hash");
  for (const { name } of description.layout) if (!file.tensors.has(name)) refuse(`it lacks the tensor "${name}"`);
  if (file.tensors.size !== description.layout.length) refuse("it has tensors that its layout does not name");
  return description;
}

function checkSettings({ config: saved }: Description, config: TrainingConfig): void {
  const own = bound(config), mayChange = config.thaw || config.freeze_trained;
  const keys = [...new Set([...Object.keys(saved), ...Object.keys(own)])].filter((key) => !(mayChange && WHAT_IS_TRAINED.has(key)));
  const changed = keys.find((key) => JSON.stringify(saved[key]) !== JSON.stringify(own[key]));
  if (changed === undefined) return;
  const flags = WHAT_IS_TRAINED.has(changed) ? ", or add --thaw or --freeze_trained to train something else" : "";
  throw new ConfigError(`Cannot resume with "${changed}" ${JSON.stringify(own[changed])}: the checkpoint was saved with ${JSON.stringify(saved[changed])}. Use the training.json beside it as --config${flags}`);
}

function checkBase({ base: saved }: Description, { ignore_base_hash }: TrainingConfig, { base }: TrainingContext, notes: string[]): void {
  const hashes = (of: TrainingContext["base"]): string => JSON.stringify(of?.files.map(({ bytes, sha256 }) => [bytes, sha256]) ?? null);
  if (hashes(saved) === hashes(base)) return;
  const problem = `the checkpoint was trained on ${saved ? `${saved.name} (sha256 ${saved.files[0]?.sha256.slice(0, 12)}…)` : "no pretrained model"}, this run has ${base ? `${base.name} (sha256 ${base.files[0]?.sha256.slice(0, 12)}…)` : "none"}`;
  if (!ignore_base_hash) throw new ConfigError(`Cannot resume: ${problem}. Give the same --model, or add --ignore_base_hash`);
  notes.push(`${problem}: going on all the same`);
}

async function readWords(file: TensorFile, entry: TensorEntry): Promise<Uint32Array<ArrayBuffer>> {
  const words = new Uint32Array(Math.ceil((entry.end - entry.start) / 4)), bytes = new Uint8Array(words.buffer);
  let at = 0;
  for await (const piece of file.pieces(entry)) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return words;
}
