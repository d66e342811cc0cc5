import { get, set } from "idb-keyval";
import { ConfigError, type TrainingConfig } from "../src/index.ts";
import { OPTIMIZERS, PRESETS } from "../src/exports/optim.ts";
import { parseConfig } from "../src/exports/train.ts";
import { byId, create, find } from "./dom.ts";

const KEY = "scrimp settings";
const STEPS_BETWEEN_CHECKPOINTS = 50;
const NUMBERS = ["max_length", "max_steps", "per_device_train_batch_size", "seed", "temperature"] as const;
const SHAPE = ["hidden_size", "num_hidden_layers", "num_attention_heads"] as const;

type Field = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

const form = byId<HTMLFormElement>("settings");
const field = (name: string): Field => find<Field>(form, `[name="${name}"]`);
/** Fields that are not remembered: the page may not open the files that belong to them by itself again. */
const CHOICES: readonly string[] = ["data", "source"];
const choice = (name: string): string => find<HTMLInputElement>(form, `[name=${name}]:checked`).value;
const fields = (): Field[] =>
  [...form.elements].filter((element): element is Field =>
    "name" in element && !["", ...CHOICES].includes(String(element.name))
  );

/** Fills in the optimizers and the settings of the last visit. */
export async function openSettings(): Promise<void> {
  field("optim").replaceChildren(...OPTIMIZERS.map((name) => create("option", {}, name)));
  // Nothing is remembered without storage, as in a private window.
  const saved: unknown = await get(KEY).catch(() => undefined);
  if (typeof saved !== "object" || saved === null) return;
  for (const field of fields()) {
    const value = (saved as Record<string, unknown>)[field.name];
    if (typeof value === "string") restore(field, value);
  }
}

/** Restores a value, unless the page no longer offers it: that would leave the choice empty. */
function restore(field: Field, value: string): void {
  if (field instanceof HTMLSelectElement && ![...field.options].some((option) => option.value === value)) return;
  field.value = value;
}

export async function rememberSettings(): Promise<void> {
  await set(KEY, Object.fromEntries(fields().map(({ name, value }) => [name, value]))).catch(() => {});
}

/** All values of the form, to fill it in again for the same run. */
export const formValues = (): Record<string, string> =>
  Object.fromEntries([
    ...fields().map(({ name, value }) => [name, value]),
    ...CHOICES.map((name) => [name, choice(name)]),
  ]);

export function fillIn(values: Readonly<Record<string, string>>): void {
  for (const field of fields()) if (values[field.name] !== undefined) restore(field, values[field.name]!);
  for (const name of CHOICES.filter((name) => values[name] !== undefined)) {
    for (const radio of form.querySelectorAll<HTMLInputElement>(`[name=${name}]`)) {
      radio.checked = radio.value === values[name];
    }
  }
}

/**
 * The form as settings.
 * @param model the pretrained model, empty for a new one.
 * @throws ConfigError for the first wrong one.
 */
export function readSettings(model: string): TrainingConfig {
  const optim = field("optim").value, rate = field("learning_rate").value;
  const usual = PRESETS[optim as keyof typeof PRESETS].learning_rate / (model === "" ? 1 : 10);
  find<HTMLInputElement>(form, "[name=learning_rate]").placeholder = String(Number(usual.toPrecision(6)));
  const numbers = numbersOf(NUMBERS);
  const shown = {
    ...(model === "" ? newModel() : { model, ...tuning() }),
    optim,
    learning_rate: rate === "" ? null : Number(rate),
    prompt: field("prompt").value,
    run_name: field("run_name").value.trim(),
    ...numbers,
  };
  if (shown.run_name === "") {
    throw new ConfigError("Cannot start a run without a name: expected a word, under which its checkpoints are kept");
  }
  const further = readFurther(shown);
  const notes: string[] = [];
  const config = parseConfig(
    { ...rhythm(numbers), ...(model === "" ? proportions(shown) : {}), ...shown, ...further },
    (note) => notes.push(note),
  );
  byId("notes").textContent = notes.join("; ");
  return config;
}

function newModel(): Record<string, unknown> {
  const [tokenizer, vocab_size = "256"] = field("tokenizer").value.split(" ");
  return { tokenizer, vocab_size: Number(vocab_size), ...numbersOf(SHAPE) };
}

function tuning(): Record<string, unknown> {
  if (field("tuning").value === "full") return {};
  const format = field("base_format").value, names = field("target_modules").value.replace(/\s+/g, "");
  const peft = { ...numbersOf(["r", "lora_alpha"]), ...(names !== "" && { target_modules: names }) };
  return { peft, ...(format !== "" && { [format]: true }) };
}

const numbersOf = (names: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(names.map((name) => [name, numberOf(name)]));

/** The number in a field. Text that is no number stays text, so that the message shows what was typed. */
function numberOf(name: string): number | string {
  const { value, max } = field(name) as HTMLInputElement;
  if (value === "" || !Number.isFinite(Number(value))) return value;
  if (max !== "" && Number(value) > Number(max)) {
    throw new ConfigError(`Cannot use "${name}" ${value}: this page goes up to ${max}`);
  }
  return Number(value);
}

/** Intervals of events, unless the further settings have them: a few samples in a run. */
function rhythm({ max_steps }: Record<string, unknown>): Record<string, unknown> {
  const every = (part: number): number => Math.max(1, Math.round(Number(max_steps) * part)) || 1;
  return {
    eval_steps: every(1 / 20),
    sample_steps: every(1 / 5),
    eval_batches: 4,
    save_steps: STEPS_BETWEEN_CHECKPOINTS,
  };
}

/** The usual shape of a LLaMA of this size. */
function proportions({ hidden_size, num_attention_heads }: Record<string, unknown>): Record<string, unknown> {
  return {
    num_key_value_heads: num_attention_heads,
    intermediate_size: Math.max(16, Math.round(Number(hidden_size) / 6) * 16) || 16,
  };
}

function readFurther(shown: Record<string, unknown>): Record<string, unknown> {
  const text = field("further").value.trim();
  if (text === "") return {};
  const settings = parseJson(text);
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) {
    throw new ConfigError('Cannot use the further settings: expected a JSON object like { "weight_decay": 0 }');
  }
  const twice = Object.keys(settings).find((name) => Object.hasOwn(shown, name));
  if (twice !== undefined) {
    throw new ConfigError(`Cannot use "${twice}" in the further settings: the form has it already. Remove one of them`);
  }
  if ("dataset" in settings) {
    throw new ConfigError(
      'Cannot use "dataset" in the further settings: a page has no paths. Choose the file under Data',
    );
  }
  if ("model" in settings) {
    throw new ConfigError('Cannot use "model" in the further settings: a page has no paths. Choose it under Model');
  }
  return settings as Record<string, unknown>;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
