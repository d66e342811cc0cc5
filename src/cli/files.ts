import { readFile } from "../api/read_dataset.deno.ts";
import { ConfigError, nameSettings, parseConfig, type TrainingConfig } from "../recipe/config/config.ts";
import type { Arguments } from "./arguments.ts";

/** The settings of --config FILE.json with those of the flags laid over them, checked. Notes go to stderr. */
export const readConfig = async (args: Arguments): Promise<TrainingConfig> =>
  parseConfig(await readSettings(args, nameSettings));

/**
 * The settings of --config FILE.json with those of the flags laid over them, both under the names that `name` gives.
 */
export async function readSettings(
  { settings: { config: file, ...flags } }: Arguments,
  name: typeof nameSettings,
): Promise<Record<string, unknown>> {
  const note = (message: string): void => console.error(`note: ${message}`);
  const fromFile = file === undefined ? {} : await readJson(String(file));
  const fromFlags = name(flags, note);
  // An empty shell variable must not quietly train on, or from, something else.
  if (fromFlags["dataset"] === "") {
    throw new ConfigError(
      'Cannot use "dataset": expected the path of a text file, got "". Leave it out to train on the embedded stories',
    );
  }
  const empty = ["model", "adapter", "tokenizer", "resume_from_checkpoint"].find((key) => fromFlags[key] === "");
  if (empty) throw new ConfigError(`Cannot use "${empty}": expected a path, got "". Leave it out if there is none`);
  return { ...name(fromFile, note), ...fromFlags };
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  const text = new TextDecoder().decode(await readFile(path, "config"));
  try {
    const settings: unknown = JSON.parse(text);
    if (typeof settings === "object" && settings !== null && !Array.isArray(settings)) {
      return settings as Record<string, unknown>;
    }
  } catch {
    // Falls through to the same error.
  }
  throw new ConfigError(`Cannot use config ${path}: expected a JSON object of settings`);
}
