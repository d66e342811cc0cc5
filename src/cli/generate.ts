import { openGpu } from "../gpu/device.ts";
import { ropeTableTensor } from "../models/rope_table.ts";
import { parseConfig } from "../train/config.ts";
import { recordEvaluate, recordGenerate, type Programs } from "../train/programs.ts";
import { sampleText } from "../train/sample.ts";
import { planPrograms, Trainer } from "../train/trainer.ts";
import type { LoadedModel } from "../checkpoint/model_files.ts";
import { allowOnly, type Arguments } from "./arguments.ts";
import { loadModel } from "./files.ts";

const SETTINGS = ["prompt", "sample_tokens", "temperature", "top_k", "seed"];

/** Continues a prompt with a trained model. */
export async function generate({ json, settings: { model: folder, ...settings } }: Arguments): Promise<number> {
  allowOnly(settings, SETTINGS, "generate", `expected --model and ${SETTINGS.join(", ")}`);
  const config = parseConfig({ sample_tokens: 200, ...settings });
  const loaded = await loadModel(folder);
  const trainer = await openModel(loaded, 1, "generate");
  const text = await sampleText(trainer, loaded.tokenizer, { ...config, max_new_tokens: config.sample_tokens, max_length: loaded.max_length });
  console.log(json ? JSON.stringify({ prompt: config.prompt, text }) : text);
  trainer.destroy();
  return 0;
}

/** A loaded model on the device, with the program for one purpose. */
export async function openModel({ model, max_length: T, tensors }: LoadedModel, B: number, purpose: "generate" | "evaluate"): Promise<Trainer> {
  const gpu = await openGpu();
  const rope_table = ropeTableTensor(T, model.config.head_dim);
  const options = { variant: gpu.variant, model, rope_table, B, T };
  const program = purpose === "generate" ? { generate: recordGenerate(options) } : { evaluate: recordEvaluate(options) };
  const programs: Programs = { rope_table, ...program };
  const trainer = await Trainer.create(gpu, model, programs, planPrograms(programs), undefined);
  for (const { name, data } of tensors) trainer.setParameter(name, data);
  return trainer;
}
