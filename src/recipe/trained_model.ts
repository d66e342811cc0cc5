import type { Json } from "../models/config_reader.ts";
import { freeze } from "../models/freeze.ts";
import type { Architecture, Model } from "../models/architecture.ts";
import { LLAMA } from "../models/llama.ts";
import { type LlamaConfig, llamaJson } from "../models/llama_config.ts";
import { type LoraConfig, withLora } from "../models/lora.ts";
import { createModel } from "../models/model.ts";
import { type Parameter, trainedParameters, type WeightType } from "../models/parameter.ts";
import { linearLayers, mapModel } from "../models/parts.ts";
import { matching } from "../optim/param_groups.ts";
import type { Variable } from "../plan/recorder.ts";
import { ConfigError, type TrainingConfig } from "./config/config.ts";

/** The facts of a pretrained model that planning needs: no weights. */
export interface BaseModel {
  /** The family of models that it belongs to. */
  readonly architecture: Architecture;
  /** config.json */
  readonly json: Json;
  /** The format in which the files hold a tensor. */
  storedAs(name: string): WeightType;
  /** Parameters that the files lack: those of a new classification head. */
  readonly isNew?: ReadonlySet<string>;
}

/**
 * The model that a config asks for: pretrained or new, with adapters, frozen where nothing is trained. Holds no
 * numbers.
 */
export function modelOf(config: TrainingConfig, vocab_size: number, base?: BaseModel): Model {
  const factors = config.factor_rank > 0 ? { rank: config.factor_rank, alpha: config.factor_alpha } : undefined;
  const { architecture, json } = base ?? { architecture: LLAMA, json: llamaJson(llamaConfigOf(config, vocab_size)) };
  const type = config.dtype === "bfloat16" ? "bf16" : "f32";
  const plain = createModel(withDropout(architecture, json, config.dropout), { architecture, type, factors });
  const lora = loraOf(config);
  const model = lora ? withLora(plain, lora) : plain;
  const trained = trainedOf(config, model, base?.isNew ?? new Set());
  if (trained.size === model.parameters.length) {
    if (config.load_in_4bit || config.load_in_8bit) {
      throw new ConfigError(
        `Cannot use "load_in_${
          config.load_in_4bit ? 4 : 8
        }bit": only frozen weights are quantized, and everything is trained. Add --peft lora, or freeze something`,
      );
    }
    return model;
  }
  if (trained.size === 0) {
    const setting = config.trainable_modules ? "trainable_modules" : "frozen_modules";
    throw new ConfigError(`Cannot use "${setting}" ${JSON.stringify(config[setting])}: nothing would be left to train`);
  }
  const merged = config.relora_steps > 0
    ? new Set<Variable>(linearLayers(model).filter((layer) => layer.lora).map(({ weight }) => weight))
    : new Set<Variable>();
  const frozen = freeze(model, {
    trains: (parameter) => trained.has(parameter) || merged.has(parameter),
    storedAs: (
      name,
    ) => (config.dtype === "auto" ? base?.storedAs(name) ?? "f32" : config.dtype === "bfloat16" ? "bf16" : "f32"),
    quantized: quantizedOf(config),
  });
  // The weights that ReLoRA merges adapters into change, so they are saved with the run; but they have no gradient.
  return mapModel(frozen, {
    parameter: (parameter) => (merged.has(parameter) ? { ...parameter, needsGradient: false } : parameter),
  });
}

/** The format that frozen linear layers are quantized to. */
export const quantizedOf = (
  { load_in_4bit, load_in_8bit }: TrainingConfig,
): "nf4" | "int8" | undefined => (load_in_4bit ? "nf4" : load_in_8bit ? "int8" : undefined);

export function loraOf({ peft }: TrainingConfig): LoraConfig | undefined {
  return peft ? { ...peft, modules_to_save: peft.modules_to_save ?? [] } : undefined;
}

/** The parameters that the settings train. @throws ConfigError if a new one would stay as it was drawn. */
function trainedOf(config: TrainingConfig, model: Model, isNew: ReadonlySet<string>): ReadonlySet<Variable> {
  const added = model.parameters.filter(({ value }) => isNew.has(value.label));
  const chosen = chosenBy(config, model);
  // Beside adapters a new head is trained anyway, as in PEFT.
  if (config.peft) return new Set([...chosen, ...added]);
  const left = added.find((parameter) => !chosen.has(parameter));
  if (left) {
    throw new ConfigError(
      `Cannot freeze ${left.value.label}: the model's files do not have it, so it is new and must be trained. Add ` +
        `it to "trainable_modules", or take it out of "frozen_modules"`,
    );
  }
  return chosen;
}

function chosenBy(config: TrainingConfig, model: Model): ReadonlySet<Variable> {
  const { peft, trainable_modules, frozen_modules } = config;
  const named = (setting: string, patterns: readonly string[]): ReadonlySet<Variable> =>
    matching(setting, patterns, trainedParameters(model));
  if (peft) return new Set([...adapters(model), ...saved(model, peft.modules_to_save ?? [])]);
  if (trainable_modules) return named("trainable_modules", trainable_modules);
  const frozen = named("frozen_modules", frozen_modules);
  return new Set(model.parameters.filter((parameter) => !frozen.has(parameter)));
}

const adapters = (model: Model): Parameter[] =>
  linearLayers(model).flatMap(({ lora }) => (lora ? [lora.a, lora.b] : []));

/**
 * Whole modules that are trained beside adapters; a classifier always is, as in PEFT, which lists the name "score" with
 * it.
 */
function saved(model: Model, modules: readonly string[]): Parameter[] {
  const { head } = model;
  const all = head.task === "SEQ_CLS" ? [...modules.filter((name) => name !== "score"), head.modules[0]!] : modules;
  const moduleOf = ({ value }: Parameter): string => value.label.replace(/\.(weight|bias)$/, "");
  return [...new Set(all)].flatMap((name) => {
    const found = model.parameters.filter((parameter) =>
      `.${moduleOf(parameter)}.`.includes(`.${name}.`) && !/\.lora_[AB]$/.test(moduleOf(parameter))
    );
    if (found.length > 0) return found;
    throw new ConfigError(
      `Cannot use "peft.modules_to_save" ${JSON.stringify(modules)}: the model has no module "${name}"${
        name === "lm_head" ? ", its head is the embedding; name that" : ""
      }`,
    );
  });
}

/** The same config.json with all of its dropouts set, if one is given. */
function withDropout({ dropouts }: Architecture, json: Json, dropout: number | null): Json {
  if (dropout === null) return json;
  return { ...json, ...Object.fromEntries(dropouts.map((key) => [key, dropout])) };
}

/** The seed of dropout, if anything is dropped. */
export function dropoutSeedOf({ seed, peft }: TrainingConfig, { architecture, config }: Model): number | undefined {
  const shares = architecture.dropouts.map((key) => Number((config as unknown as Json)[key]));
  return Math.max(0, peft?.lora_dropout ?? 0, ...shares) > 0 ? seed : undefined;
}

function llamaConfigOf(config: TrainingConfig, vocab_size: number): LlamaConfig {
  return {
    vocab_size,
    hidden_size: config.hidden_size,
    intermediate_size: config.intermediate_size,
    num_hidden_layers: config.num_hidden_layers,
    num_attention_heads: config.num_attention_heads,
    num_key_value_heads: config.num_key_value_heads,
    head_dim: config.hidden_size / config.num_attention_heads,
    max_position_embeddings: config.max_length,
    rms_norm_eps: config.rms_norm_eps,
    rope_parameters: { rope_theta: config.rope_theta },
    tie_word_embeddings: config.tie_word_embeddings,
    initializer_range: config.initializer_range,
    qkv_bias: false,
    o_bias: false,
    mlp_bias: false,
    qk_norm: false,
  };
}
