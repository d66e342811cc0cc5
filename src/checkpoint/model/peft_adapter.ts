import { type LoraConfig, targetNames } from "../../models/lora.ts";
import type { Model } from "../../models/architecture.ts";
import { type Parameter, trainedParameters } from "../../models/parameter.ts";
import { linearLayers } from "../../models/parts.ts";
import type { Executor } from "../../plan/executor.ts";
import { openCheckpoint } from "../safetensors/reader.ts";
import { writeSafetensors } from "../safetensors/writer.ts";
import type { Folder } from "../source/source.ts";
import { loadTensor } from "./load.ts";
import { readJsonFile } from "./pretrained.ts";
import { encodeJson, type FileContents, type FolderFiles } from "./save.ts";

/** Prefix of PEFT's names, its wrapper around a model. */
const PREFIX = "base_model.model.";

/** The facts of an adapter besides its numbers. */
export interface AdapterToSave {
  /** The base model with the adapter's factors. */
  readonly model: Model;
  /** The adapter's rank, scale and target modules. */
  readonly config: LoraConfig;
  /** Name or path of the model that it belongs to. */
  readonly base: string;
  /** The revision of the base model, where the adapter's config names one. */
  readonly revision: string | null;
}

/**
 * True if an adapter's file holds a parameter of this name: a factor, or a weight of a module that was trained whole.
 */
export const isHeld = (label: string, modules_to_save: readonly string[]): boolean =>
  /\.lora_[AB]\.weight$/.test(label) || modules_to_save.some((name) => `.${label}`.includes(`.${name}.`));

/** adapter_config.json and adapter_model.safetensors as PEFT writes them: adapters and modules_to_save, f32. */
export function adapterFiles({ model, config, base, revision }: AdapterToSave, executor: Executor): FolderFiles {
  const trained = trainedParameters(model);
  const tensors = new Map(trained.map(({ value }) => [PREFIX + value.label, value]));
  const entries = [...tensors].map(([name, { shape }]) => ({
    name,
    shape,
    dtype: "F32" as const,
    bytes: 4 * shape.reduce((a, b) => a * b, 1),
  }));
  const saved = new Set(
    trained.filter(({ value }) => !isHeld(value.label, [])).map(({ value }) =>
      value.label.replace(/\.(?:weight|bias)$/, "")
    ),
  );
  const json = {
    peft_type: "LORA",
    task_type: model.head.task,
    base_model_name_or_path: base,
    revision,
    r: config.r,
    lora_alpha: config.lora_alpha,
    lora_dropout: config.lora_dropout,
    target_modules: config.target_modules === null || config.target_modules === "all-linear"
      ? targetNames(model)
      : config.target_modules,
    modules_to_save: saved.size > 0 ? modulesOf(saved, config, model) : null,
    use_rslora: config.use_rslora,
    fan_in_fan_out: linearLayers(model).some(({ lora, transposed }) => lora && transposed),
    bias: "none",
    init_lora_weights: true,
    inference_mode: true,
  };
  return new Map<string, FileContents>([
    ["adapter_config.json", encodeJson(json)],
    [
      "adapter_model.safetensors",
      writeSafetensors(entries, new Map([["format", "pt"]]), async function* (name) {
        yield new Uint8Array((await executor.read(tensors.get(name)!)).buffer);
      }),
    ],
  ]);
}

/** Names as the user gave them, and those of a classification head, which is trained without being named. */
function modulesOf(saved: ReadonlySet<string>, { modules_to_save }: LoraConfig, { head }: Model): string[] {
  const modules = head.task === "SEQ_CLS" ? head.modules : [];
  const trained = modules.filter((module) => [...saved].some((name) => `.${name}.`.includes(`.${module}.`)));
  return [...new Set([...modules_to_save, ...trained])];
}

/** PEFT's settings that change an adapter's computation, and the values that are supported here. */
const REFUSED: Readonly<Record<string, readonly unknown[]>> = {
  use_dora: [false, null],
  use_qalora: [false, null],
  use_bdlora: [false, null],
  // Other initialisations begin with factors of the base, which they change.
  init_lora_weights: [true, "gaussian", false, null],
  bias: ["none"],
  lora_bias: [false, null],
  layers_to_transform: [null],
  exclude_modules: [null],
  target_parameters: [null],
  trainable_token_indices: [null],
  layer_replication: [null],
  alora_invocation_tokens: [null],
};

/**
 * The settings of an adapter folder.
 * @throws RangeError if it is no LoRA adapter, or has a setting that is not supported here.
 */
export async function readAdapterConfig(folder: Folder): Promise<LoraConfig> {
  const json = await readJsonFile(folder, "adapter_config.json");
  if (!json) {
    throw new RangeError(
      `Cannot load the adapter ${folder.name}: it has no adapter_config.json. Give a folder that PEFT or Scrimp has ` +
        "written",
    );
  }
  const refuse = (key: string, expected: string): never => {
    throw new RangeError(
      `Cannot load the adapter ${folder.name}: "${key}" is ${
        JSON.stringify(json[key])
      }, expected ${expected}. Merge it into its model with PEFT first`,
    );
  };
  if (json["peft_type"] !== "LORA") refuse("peft_type", '"LORA"');
  for (const [key, values] of Object.entries(REFUSED)) {
    if (json[key] !== undefined && !values.includes(json[key])) refuse(key, JSON.stringify(values[0]));
  }
  for (const key of ["rank_pattern", "alpha_pattern"]) {
    if (Object.keys((json[key] ?? {}) as object).length > 0) refuse(key, "{}");
  }
  const number = (key: string, fallback: number): number => {
    const value = json[key] ?? fallback;
    return typeof value === "number" && Number.isFinite(value) && value >= 0
      ? value
      : refuse(key, "a number, 0 or more");
  };
  const r = number("r", 8), target = json["target_modules"] ?? null, save = json["modules_to_save"] ?? [];
  if (!Number.isSafeInteger(r) || r < 1) refuse("r", "a whole number above 0");
  const isNames = (value: unknown): value is string[] =>
    Array.isArray(value) && value.every((name) => typeof name === "string");
  if (target !== null && typeof target !== "string" && !isNames(target)) {
    refuse("target_modules", "a list of names or a regular expression");
  }
  if (!isNames(save)) return refuse("modules_to_save", "a list of names");
  if (typeof (json["use_rslora"] ?? false) !== "boolean") refuse("use_rslora", "true or false");
  return {
    r,
    lora_alpha: number("lora_alpha", 8),
    lora_dropout: number("lora_dropout", 0),
    target_modules: target as LoraConfig["target_modules"],
    modules_to_save: save,
    use_rslora: json["use_rslora"] === true,
  };
}

/**
 * Uploads an adapter's numbers. Its tensors must be exactly those that the model has beside its base.
 * @throws RangeError that names the tensors that are missing, too many, or of another shape.
 */
export async function loadAdapter(executor: Executor, model: Model, folder: Folder): Promise<ReadonlySet<Parameter>> {
  const file = await openCheckpoint(folder, "adapter_model.safetensors"),
    { modules_to_save } = await readAdapterConfig(folder);
  const held = model.parameters.filter((parameter) =>
    parameter.needsGradient || isHeld(parameter.value.label, modules_to_save)
  );
  const wanted = new Map(held.map((parameter) => [PREFIX + parameter.value.label, parameter]));
  const problems = [...wanted].flatMap(([name, { value: { shape } }]) => {
    const entry = file.tensors.get(name);
    if (!entry) return [`it has no "${name}"`];
    return entry.shape.join() === shape.join() ? [] : [`"${name}" is (${entry.shape}), expected (${shape})`];
  });
  for (const name of file.tensors.keys()) {
    if (!wanted.has(name)) problems.push(`"${name}" belongs to nothing that is adapted`);
  }
  if (problems.length > 0) {
    throw new RangeError(
      `Cannot load the adapter ${folder.name}: ${problems.slice(0, 8).join("; ")}${
        problems.length > 8 ? ` and ${problems.length - 8} more` : ""
      }. Use it with the model that it was trained on`,
    );
  }
  for (const [name, { value }] of wanted) await loadTensor(executor, value, file, file.tensors.get(name)!);
  return new Set(wanted.values());
}
