import { decodeSafetensors, encodeSafetensors, safetensorsMetadata } from "../checkpoint/safetensors.ts";
import type { SwitchingState } from "../optim/step/switching.ts";
import { ConfigError, type TrainingConfig } from "./config.ts";
import type { TrainingState } from "./trainer.ts";

/** Settings that a resumed run may have otherwise: they do not change what a step computes. */
const FREE: ReadonlySet<string> = new Set([
  ...["output_dir", "run_name", "resume_from_checkpoint", "save_steps", "logging_steps"],
  ...["sample_steps", "sample_tokens", "prompt", "temperature", "top_k"],
]);

const bound = (config: TrainingConfig): Record<string, unknown> => Object.fromEntries(Object.entries(config).filter(([key]) => !FREE.has(key)));

/**
 * A training state as a safetensors file. Its tensors are the bits of what is on the device, whatever their type, under the type F32; the
 * settings that it depends on stand in the header.
 */
export function encodeTraining({ step, switching, tensors }: TrainingState, config: TrainingConfig): Uint8Array<ArrayBuffer> {
  const named = [...tensors].map(([name, words]) => ({ name, shape: [words.length], data: new Float32Array(words.buffer) }));
  return encodeSafetensors(named, { training: JSON.stringify({ step, switching, config: bound(config) }) });
}

/**
 * The training state in such a file.
 * @throws RangeError if it is damaged or something else, ConfigError naming the first setting that differs from the run's.
 */
export function decodeTraining(file: Uint8Array<ArrayBuffer>, config: TrainingConfig): TrainingState {
  const { training } = safetensorsMetadata(file);
  if (typeof training !== "string") throw new RangeError("Cannot resume: the file is not a training checkpoint. Give the checkpoint.safetensors of a run");
  const { step, switching, config: saved } = JSON.parse(training) as { step: number; switching: SwitchingState; config: Record<string, unknown> };
  const own = bound(config);
  const changed = [...new Set([...Object.keys(saved), ...Object.keys(own)])].find((key) => JSON.stringify(saved[key]) !== JSON.stringify(own[key]));
  if (changed !== undefined) throw new ConfigError(`Cannot resume with "${changed}" ${JSON.stringify(own[changed])}: the checkpoint was saved with ${JSON.stringify(saved[changed])}. Use the training.json beside it as --config`);
  return { step, switching, tensors: new Map(decodeSafetensors(file).map(({ name, data }) => [name, new Uint32Array(data.buffer)])) };
}
