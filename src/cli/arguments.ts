import { ConfigError } from "../recipe/config/config.ts";

export interface Arguments {
  /** True for lines for machines on stdout and nothing else. */
  readonly json: boolean;
  /** Every --setting with its parsed value: numbers, true and false, JSON objects, else text. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/**
 * Reads `--key value`, `--key=value` and bare `--flag`. Any key is accepted here: the config refuses the unknown ones
 * with a suggestion, which a parser with a fixed list of options could not.
 */
export function parseArgs(args: readonly string[]): Arguments {
  const settings = new Map<string, unknown>();
  let json = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (!arg.startsWith("--")) {
      throw new ConfigError(`Cannot read "${arg}": expected --setting value. Text with spaces needs quotes`);
    }
    const [name, inline] = splitOnce(arg.slice(2), "=");
    const key = name.replaceAll("-", "_");
    if (key === "json") {
      if (inline !== undefined) throw new ConfigError(`Cannot read "${arg}": --json takes no value`);
      json = true;
      continue;
    }
    const next = args[i + 1];
    const value = inline ?? (next?.startsWith("--") ? undefined : next);
    if (inline === undefined && value !== undefined) i++;
    if (value === undefined && TEXT.has(key)) {
      throw new ConfigError(
        `Cannot read --${name}: expected a value after it. One that begins with -- is given as --${name}=VALUE`,
      );
    }
    settings.set(key, parseValue(value ?? "true", key));
  }
  return { json, settings: Object.fromEntries(settings) };
}

/** Refuses settings that a command does not read. `expectation` ends the message. */
export function allowOnly(
  settings: Arguments["settings"],
  names: readonly string[],
  command: string,
  expectation: string,
): void {
  const unexpected = Object.keys(settings).find((key) => !names.includes(key));
  if (unexpected !== undefined) throw new ConfigError(`Cannot use --${unexpected} with ${command}: ${expectation}`);
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** Settings that are text even if they look like a number. */
const TEXT = new Set([
  "dataset",
  "data",
  "prompt",
  "run_name",
  "output_dir",
  "model",
  "revision",
  "tokenizer",
  "adapter",
  "peft",
  "target_modules",
  "lora_target_modules",
  "modules_to_save",
  "config",
  "memory_budget",
  "resume_from_checkpoint",
]);

function parseValue(value: string, key: string): unknown {
  if (TEXT.has(key)) return value;
  if (value === "true" || value === "false") return value === "true";
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value)) return Number(value);
  if (/^[\[{]/.test(value)) return parseJson(value, key);
  return value;
}

function parseJson(value: string, key: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    throw new ConfigError(`Cannot read --${key}: expected JSON, got ${value}`);
  }
}
