import { openPretrained } from "../checkpoint/model/pretrained.ts";
import { IdTokenizer } from "../tokenizer/id_tokenizer.ts";
import { openGpu } from "../gpu/device.ts";
import { classesOf, createModel } from "../models/model.ts";
import { ConfigError, parseConfig, type TrainingConfig } from "../recipe/config/config.ts";
import { withClassesOf } from "../recipe/fine_tuning.ts";
import { openForGeneration } from "../recipe/inference.ts";
import { quantizedOf } from "../recipe/model.ts";
import { sampleText } from "../train/sample.ts";
import { allowOnly, type Arguments } from "./arguments.ts";
import { openSources } from "./sources.ts";

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

/** Tokens that a model sees at once by default, if it does not have fewer. */
const USUAL_LENGTH = 512;

/** Continues a prompt with a trained model. */
export async function generate({ json, settings }: Arguments): Promise<number> {
  allowOnly(settings, SETTINGS, "generate", `expected ${SETTINGS.map((name) => `--${name}`).join(", ")}`);
  const { config, pretrained, tokenizer, adapter, T } = await openRequested(settings, { sample_tokens: 200 });
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
export async function openRequested(settings: Arguments["settings"], defaults: Readonly<Record<string, unknown>> = {}) {
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
  const { model, tokenizer: tokenizerFolder, adapter } = await openSources(config);
  const opened = await openPretrained(model, tokenizerFolder);
  const pretrained = { ...opened, json: await withClassesOf(adapter, opened.json) };
  const plain = createModel(pretrained.json, { architecture: pretrained.architecture });
  const maxLength = plain.architecture.maxLength(plain.config);
  const tokenizer = pretrained.tokenizer ?? new IdTokenizer(plain.config.vocab_size);
  return {
    config,
    pretrained,
    classes: classesOf(plain),
    tokenizer,
    adapter,
    T: "max_length" in settings ? config.max_length : Math.min(maxLength, USUAL_LENGTH),
  };
}
