import * as v from "valibot";
import { count, flag, fraction, oneOf, positive, text } from "./checks.ts";

const names = v.array(text, "must be a list of names of modules");

/** The keys of PEFT's LoraConfig; PEFT's other keys are refused unless they say what is done here anyway. */
const entries = {
  peft_type: v.optional(oneOf(["LORA"]), "LORA"),
  r: v.optional(count, 8),
  lora_alpha: v.optional(positive, 8),
  lora_dropout: v.optional(fraction, 0),
  target_modules: v.optional(
    v.nullable(v.union([names, text], "must be a list of names, a regular expression, or all-linear")),
    null,
  ),
  modules_to_save: v.optional(v.nullable(names), null),
  use_rslora: v.optional(flag, false),
  bias: v.optional(v.literal("none", 'must be "none": biases stay frozen'), "none"),
};

export const peftConfig = v.strictObject(entries);

/** Names of the same as settings of their own, by Axolotl, Unsloth and MLX. */
export const PEFT_ALIASES: Readonly<Record<string, keyof typeof entries>> = {
  lora_r: "r",
  lora_rank: "r",
  lora_alpha: "lora_alpha",
  lora_dropout: "lora_dropout",
  lora_target_modules: "target_modules",
  target_modules: "target_modules",
  modules_to_save: "modules_to_save",
  use_rslora: "use_rslora",
};

/**
 * A PEFT config as given: an object, "lora", or "lora r=16 lora_alpha=32" read as pairs. Lists may be written with
 * commas.
 */
export function namePeft(given: unknown): unknown {
  if (typeof given !== "object" || given === null) return given;
  const { lora, ...rest } = given as Record<string, unknown>;
  const listOf = (value: unknown): unknown => (typeof value === "string" ? value.split(",").filter(Boolean) : value);
  const named: Record<string, unknown> = lora === true ? rest : { ...rest, ...(lora !== undefined && { lora }) };
  if (typeof named["modules_to_save"] === "string") named["modules_to_save"] = listOf(named["modules_to_save"]);
  // One name is a list of one; what has the signs of a regular expression is one.
  if (
    typeof named["target_modules"] === "string" && named["target_modules"] !== "all-linear" &&
    /^[\w.,]+$/.test(named["target_modules"])
  ) named["target_modules"] = listOf(named["target_modules"]);
  if (typeof named["peft_type"] === "string") named["peft_type"] = named["peft_type"].toUpperCase();
  return named;
}
