import { openModel, USUAL_LENGTH } from "../api/loaded_model.ts";
import { openGpu } from "../gpu/device.ts";
import { ConfigError, parseConfig, type TrainingConfig } from "../recipe/config/config.ts";
import { openForGeneration } from "../recipe/inference.ts";
import { quantizedOf } from "../recipe/trained_model.ts";
import { sampleText } from "../train/sample.ts";
import { allowOnly, type Arguments } from "./arguments.ts";
import { resolveSources } from "./sources.ts";

const SETTINGS = [
  "model",
  "revision",
  "tokenizer",
  "adapter",
  "max_length",
  "prompt",
  "sample_tokens",
  "temperature",
  "top_k",
  "seed",
  "load_in_8bit",
  "load_in_4bit",
];

/** Continues a prompt with a trained model. */
export async function generate({ json, settings }: Arguments): Promise<number> {
  allowOnly(settings, SETTINGS, "generate", `expected ${SETTINGS.map((name) => `--${name}`).join(", ")}`);
  const { config, pretrained, tokenizer, adapter, T } = await openRequestedModel(settings, { sample_tokens: 200 });
  const { session, program } = await openForGeneration(await openGpu(), pretrained, {
    adapter,
    T,
    quantized: quantizedOf(config),
  });
  const options = { ...config, max_new_tokens: config.sample_tokens, max_length: T };
  const text = await sampleText(session, program, tokenizer, options);
  console.log(json ? JSON.stringify({ prompt: config.prompt, text }) : text);
  session.destroy();
  return 0;
}

/** Opens the model that the settings of a command name. */
export async function openRequestedModel(
  settings: Arguments["settings"],
  defaults: Readonly<Record<string, unknown>> = {},
) {
  if (typeof settings["model"] !== "string") {
    throw new ConfigError(
      'Cannot load a model: expected --model FOLDER, the "model" folder of a run or any Hugging Face model',
    );
  }
  // The adapter's own settings are read from its folder.
  const config: TrainingConfig = parseConfig({
    ...defaults,
    ...settings,
    ...("adapter" in settings && { peft: "lora" }),
  });
  const model = await openModel(await resolveSources(config));
  return {
    ...model,
    config,
    T: "max_length" in settings ? config.max_length : Math.min(model.maxLength, USUAL_LENGTH),
  };
}
