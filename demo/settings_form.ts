import { get, set } from "idb-keyval";
import { ConfigError, OPTIMIZERS, parseConfig, PRESETS, type TrainingConfig } from "../src/index.ts";
import { byId, create, find } from "./dom.ts";

const KEY = "scrimp settings";
const NUMBERS = ["hidden_size", "num_hidden_layers", "num_attention_heads", "max_length", "max_steps", "per_device_train_batch_size", "seed", "temperature"] as const;

type Field = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

const form = byId<HTMLFormElement>("settings");
const field = (name: string): Field => find<Field>(form, `[name="${name}"]`);
/** Everything that is remembered. A file cannot be: the page may not open it by itself again. */
const fields = (): Field[] => [...form.elements].filter((element): element is Field => "name" in element && !["", "data"].includes(String(element.name)));

/** Fills in the optimizers and the settings of the last visit. */
export async function openSettings(): Promise<void> {
  field("optim").replaceChildren(...OPTIMIZERS.map((name) => create("option", {}, name)));
  const saved: unknown = await get(KEY).catch(() => undefined); // without storage, as in a private window, nothing is remembered
  if (typeof saved !== "object" || saved === null) return;
  for (const field of fields()) {
    const value = (saved as Record<string, unknown>)[field.name];
    if (typeof value === "string") restore(field, value);
  }
}

/** A value that the page offered last time and no longer does would leave the choice empty. */
function restore(field: Field, value: string): void {
  if (field instanceof HTMLSelectElement && ![...field.options].some((option) => option.value === value)) return;
  field.value = value;
}

export async function rememberSettings(): Promise<void> {
  await set(KEY, Object.fromEntries(fields().map(({ name, value }) => [name, value]))).catch(() => {});
}

/** The form as settings. @throws ConfigError for the first that cannot be. */
export function readSettings(): TrainingConfig {
  const optim = field("optim").value, rate = field("learning_rate").value;
  find<HTMLInputElement>(form, "[name=learning_rate]").placeholder = String(PRESETS[optim as keyof typeof PRESETS].learning_rate);
  const [tokenizer, vocab_size = "256"] = field("tokenizer").value.split(" ");
  const numbers = Object.fromEntries(NUMBERS.map((name) => [name, numberOf(name)]));
  const shown = { tokenizer, vocab_size: Number(vocab_size), optim, learning_rate: rate === "" ? null : Number(rate), prompt: field("prompt").value, ...numbers };
  const further = readFurther(shown);
  const notes: string[] = [];
  const config = parseConfig({ ...derived(numbers), ...shown, ...further }, (note) => notes.push(note));
  byId("notes").textContent = notes.join("; ");
  return config;
}

/** Text that is no number stays text, so that the message shows what was typed. */
function numberOf(name: string): number | string {
  const { value, max } = field(name) as HTMLInputElement;
  if (value === "" || !Number.isFinite(Number(value))) return value;
  if (max !== "" && Number(value) > Number(max)) throw new ConfigError(`Cannot use "${name}" ${value}: this page goes up to ${max}`);
  return Number(value);
}

/** What follows from the form, unless the further settings say otherwise: a LLaMA's usual shape, and a few samples in a run. */
function derived({ hidden_size, num_attention_heads, max_steps }: Record<string, unknown>): Record<string, unknown> {
  const every = (part: number): number => Math.max(1, Math.round(Number(max_steps) * part)) || 1;
  const intermediate_size = Math.max(16, Math.round(Number(hidden_size) / 6) * 16) || 16;
  return { num_key_value_heads: num_attention_heads, intermediate_size, eval_steps: every(1 / 20), sample_steps: every(1 / 5), eval_batches: 4 };
}

function readFurther(shown: Record<string, unknown>): Record<string, unknown> {
  const text = field("further").value.trim();
  if (text === "") return {};
  const settings = parseJson(text);
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) {
    throw new ConfigError('Cannot use the further settings: expected a JSON object like { "weight_decay": 0 }');
  }
  const twice = Object.keys(settings).find((name) => name in shown);
  if (twice !== undefined) throw new ConfigError(`Cannot use "${twice}" in the further settings: the form has it already. Remove one of them`);
  if ("dataset" in settings) throw new ConfigError('Cannot use "dataset" in the further settings: a page has no paths. Choose the file under Data');
  return settings as Record<string, unknown>;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
