import * as v from "valibot";
import { ConfigError, LAYERWISE, nameSettings, nearestName, show } from "./setting_names.ts";
import { type ConfigKey, entries, schema } from "./schema.ts";
import type { TrainingConfig } from "./training_config.ts";

export { ALIASES, ConfigError, nameSettings, nearestName } from "./setting_names.ts";
export { parseByteSize } from "./checks.ts";
export { CONFIG_KEYS, type ConfigKey } from "./schema.ts";
export type { TrainingConfig } from "./training_config.ts";

/**
 * @throws ConfigError if updates in the backward pass are asked for by name, and something needs all gradients first.
 */
function checkLayerwise(given: Readonly<Record<string, unknown>>, named: Readonly<Record<string, unknown>>): void {
  const optim = given["optim"] ?? given["optimizer"];
  if (typeof optim !== "string" || !LAYERWISE.test(optim)) return;
  const { max_grad_norm, gradient_accumulation_steps } = { max_grad_norm: 1, gradient_accumulation_steps: 1, ...named };
  if (max_grad_norm !== 0) {
    throw new ConfigError(
      `Cannot use optim "${optim}" with max_grad_norm ${
        show(max_grad_norm)
      }: the global norm is not known when a layer is updated. Set max_grad_norm 0`,
    );
  }
  if (gradient_accumulation_steps !== 1) {
    throw new ConfigError(
      `Cannot use optim "${optim}" with gradient_accumulation_steps ${
        show(gradient_accumulation_steps)
      }: a layer is updated as soon as its gradient is known. Use a larger batch`,
    );
  }
}

/**
 * Checks settings given by a JSON file, by flags or by a page, and fills in the defaults. `note` receives each alias
 * used.
 * @throws ConfigError for an unknown key ("did you mean"), a wrong type, or settings that do not fit each other.
 */
export function parseConfig(
  given: Readonly<Record<string, unknown>>,
  note: (message: string) => void = () => {},
): TrainingConfig {
  const named = nameSettings(given, note);
  checkLayerwise(given, named);
  const result = v.safeParse(schema, named);
  if (!result.success) throw new ConfigError(describe(result.issues[0], named));
  if (result.output.model === "") checkModel(result.output);
  checkTrained(result.output);
  return result.output;
}

function describe(issue: v.BaseIssue<unknown>, given: Record<string, unknown>): string {
  const [top = "", inner] = (issue.path ?? []).map(({ key }) => String(key));
  const path = inner === undefined ? top : `${top}.${inner}`;
  // For an object with a key too many, valibot says that nothing was expected there; for something else, that an object
  // was.
  if (issue.type === "strict_object" && issue.expected === "never") {
    let setting = entries[top as ConfigKey] as unknown as {
      readonly wrapped?: typeof setting;
      readonly entries: object;
    };
    while (setting.wrapped) setting = setting.wrapped;
    const known = Object.keys(setting.entries);
    const nearest = nearestName(inner!, known);
    return `Cannot use unknown setting ${show(path)}${
      nearest ? `: did you mean "${top}.${nearest}"?` : `. Known settings of ${top}: ${known.join(", ")}`
    }`;
  }
  const message = issue.type === "strict_object" ? "must be an object of settings" : issue.message;
  const value = inner === undefined ? given[top] : (given[top] as Record<string, unknown>)[inner];
  return `Cannot use "${path}": ${message}, got ${show(value)}`;
}

function checkModel(
  { hidden_size, num_attention_heads: H, num_key_value_heads: KV, tokenizer, vocab_size }: TrainingConfig,
): void {
  if (hidden_size % H !== 0) {
    throw new ConfigError(`Cannot use "num_attention_heads" ${H}: it must divide hidden_size ${hidden_size}`);
  }
  if ((hidden_size / H) % 2 !== 0) {
    throw new ConfigError(
      `Cannot use "num_attention_heads" ${H}: hidden_size / num_attention_heads must be even for RoPE, got ${
        hidden_size / H
      }`,
    );
  }
  if (H % KV !== 0) {
    throw new ConfigError(`Cannot use "num_key_value_heads" ${KV}: it must divide num_attention_heads ${H}`);
  }
  if (tokenizer === "bpe" && vocab_size < 257) {
    throw new ConfigError(
      `Cannot use "vocab_size" ${vocab_size} with the bpe tokenizer: it needs more than the 256 bytes. Use a larger ` +
        `one, or "tokenizer": "byte"`,
    );
  }
}

/** @throws ConfigError if settings contradict each other about what is trained. */
function checkTrained(
  {
    model,
    frozen_modules,
    trainable_modules,
    peft,
    relora_steps,
    refactor_steps,
    load_in_4bit,
    load_in_8bit,
    factor_rank,
    resume_from_checkpoint,
    thaw,
    freeze_trained,
    adapter,
  }: TrainingConfig,
): void {
  const refuse = (problem: string): never => {
    throw new ConfigError(`Cannot use ${problem}`);
  };
  if (trainable_modules && frozen_modules.length > 0) {
    refuse('"trainable_modules" beside "frozen_modules": the first freezes everything else. Leave out one of them');
  }
  if (peft && (trainable_modules || frozen_modules.length > 0)) {
    refuse(
      '"peft" beside "trainable_modules" or "frozen_modules": LoRA freezes the model. Name what is trained ' +
        "whole in peft.modules_to_save",
    );
  }
  if (model !== "" && factor_rank > 0) {
    refuse(
      `"factor_rank" ${factor_rank} with "model": factors would take the place of its weights. Leave out ` +
        "factor_rank, or train a new model",
    );
  }
  if (refactor_steps > 0 && factor_rank === 0) {
    refuse(`"refactor_steps" ${refactor_steps}: there are no factors to balance. Set factor_rank, or leave it out`);
  }
  if (peft && factor_rank > 0) {
    refuse('"peft" beside "factor_rank": a layer has adapters or is factors. Leave out one of them');
  }
  if (adapter !== "" && !peft) {
    refuse(`"adapter" ${show(adapter)} without "peft": expected --peft lora, whose settings the adapter then gives`);
  }
  if (relora_steps > 0 && !peft) {
    refuse(`"relora_steps" ${relora_steps} without "peft": there are no adapters to merge. Add --peft lora`);
  }
  if (relora_steps > 0 && refactor_steps > 0) {
    refuse(
      '"relora_steps" beside "refactor_steps": one is of adapters, the other of factorised layers. Leave out ' +
        "one of them",
    );
  }
  if (load_in_4bit && load_in_8bit) {
    refuse('"load_in_4bit" beside "load_in_8bit": a weight has one format. Leave out one of them');
  }
  if (relora_steps > 0 && (load_in_4bit || load_in_8bit)) {
    refuse(
      '"relora_steps" with quantized weights: merging changes the base, which would be rounded again each time. ' +
        "Use float32 or bfloat16",
    );
  }
  if ((thaw || freeze_trained) && resume_from_checkpoint === "") {
    refuse(
      `"${
        thaw ? "thaw" : "freeze_trained"
      }" without "resume_from_checkpoint": it lets a checkpoint be loaded into a run that trains something else`,
    );
  }
}
