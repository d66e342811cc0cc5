import { type AddedToken, addedTokenOf } from "./hugging_face/added_tokens.ts";
import { type ComponentDescription, descriptionOf } from "./hugging_face/description.ts";
import { SPECIAL_ROLES, type SpecialTokens } from "./tokenizer.ts";

/** Files that belong to a tokenizer, as texts by name. */
export type TokenizerFiles = ReadonlyMap<string, string>;

/** The object in a JSON file; empty if there is no such file. Throws TypeError if it holds something else. */
export function readObject(files: TokenizerFiles, name: string): ComponentDescription {
  const text = files.get(name);
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as ComponentDescription;
  } catch {
    // Falls through to the same error.
  }
  throw new TypeError(
    `Cannot load the tokenizer: expected ${name} to hold a JSON object, got ${
      JSON.stringify(text.slice(0, 40))
    }. Copy the file again`,
  );
}

/** Settings in the files beside tokenizer.json. */
export interface TokenizerConfig {
  /** Texts of the tokens that have a role. */
  readonly roles: Readonly<Partial<Record<typeof SPECIAL_ROLES[number], string>>>;
  /** Ids that generation_config.json gives to roles. */
  readonly generation: SpecialTokens;
  /** Added tokens that transformers 4 lists in the config, and that tokenizer.json may lack. */
  readonly added_tokens: readonly AddedToken[];
  readonly chat_template: string | undefined;
  readonly clean_up_tokenization_spaces: boolean;
}

export function readTokenizerConfig(files: TokenizerFiles): TokenizerConfig {
  const config = readObject(files, "tokenizer_config.json"), map = readObject(files, "special_tokens_map.json");
  const generation = readObject(files, "generation_config.json");
  const added = descriptionOf(config["added_tokens_decoder"], "added_tokens_decoder") ?? {};
  const pick = <T>(choose: (role: string) => T | undefined): Partial<Record<typeof SPECIAL_ROLES[number], T>> =>
    Object.fromEntries(SPECIAL_ROLES.map((role) => [role, choose(role)]).filter(([, value]) => value !== undefined));
  return {
    roles: pick((role) => tokenText(config[`${role}_token`]) ?? tokenText(map[`${role}_token`])),
    generation: pick((role) => [generation[`${role}_token_id`]].flat().find(Number.isInteger) as number | undefined),
    added_tokens: Object.entries(added).map(([id, token]) =>
      addedTokenOf(descriptionOf(token, `added token ${id}`) ?? {}, Number(id))
    ),
    chat_template: files.get("chat_template.jinja") ?? templateOf(config["chat_template"]),
    // Transformers' own default since 4.45; before, most configs said false.
    clean_up_tokenization_spaces: config["clean_up_tokenization_spaces"] === true,
  };
}

/** The text of a token, which configs write plainly or in an object. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === "object" && value !== null) value = (value as ComponentDescription)["content"];
  return typeof value === "string" ? value : undefined;
}

/** The template, or the default one among several with names. */
function templateOf(value: unknown): string | undefined {
  if (Array.isArray(value)) {
    value = (value as ComponentDescription[]).find(({ name }) => name === "default")?.["template"];
  }
  return typeof value === "string" ? value : undefined;
}
