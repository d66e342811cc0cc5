import type { Model } from "../../models/architecture.ts";
import type { Parameter } from "../../models/parameter.ts";

/** The tensors of a file, matched with the parameters of a model. */
export interface NameMatch {
  /** Name in the file of each parameter that is there. */
  readonly found: ReadonlyMap<Parameter, string>;
  readonly missing: readonly Parameter[];
  /** Names that are neither parameters nor known to be of no use here. */
  readonly unexpected: readonly string[];
}

/**
 * Matches names in a file against a model's, whose own may have another prefix there: of a model saved without its
 * head, or published before it had one.
 */
export function matchNames(model: Model, names: Iterable<string>): NameMatch {
  const left = new Set(names), found = new Map<Parameter, string>();
  for (const parameter of model.parameters) {
    const name = spellings(model, parameter.value.label).find((spelling) => left.has(spelling));
    if (name === undefined) continue;
    found.set(parameter, name);
    left.delete(name);
  }
  const missing = model.parameters.filter((parameter) => !found.has(parameter));
  const ignored = model.architecture.files.ignored(model.config);
  return { found, missing, unexpected: [...left].filter((name) => !ignored.test(name) && !isTiedHead(model, name)) };
}

/** True for the head of a model whose head is its embedding: some save it all the same. */
const isTiedHead = ({ head, embeddings }: Model, name: string): boolean =>
  name === "lm_head.weight" && head.task === "CAUSAL_LM" && head.weight === embeddings.tokens;

/** The names that a parameter may have in a file, its own first. */
function spellings({ architecture: { files }, config }: Model, label: string): string[] {
  const prefix = files.prefix(config);
  const plain = label.startsWith(prefix) ? [label, label.slice(prefix.length)] : [label];
  return [...new Set([...plain, ...plain.flatMap((name) => files.aliases?.(name) ?? [])])];
}

/** True for a parameter that may be new, drawn from the seed: the head of a model not yet trained to classify. */
export const mayBeNew = ({ architecture: { files } }: Model, { value: { label } }: Parameter): boolean =>
  files.mayBeNew?.(label) ?? false;
