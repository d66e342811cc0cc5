import type { Model } from "../../models/model.ts";
import type { Parameter } from "../../models/parameter.ts";

/** Which tensor of a file is which parameter. */
export interface NameMatch {
  /** Name in the file of each parameter that is there. */
  readonly found: ReadonlyMap<Parameter, string>;
  readonly missing: readonly Parameter[];
  /** Names that are neither parameters nor known to be of no use here. */
  readonly unexpected: readonly string[];
}

/**
 * Tensors that are no weights of this model: masks and tables that older versions saved, heads for other tasks, and
 * what is tied.
 */
const IGNORED: Readonly<Record<Model["family"], RegExp>> = {
  llama: /(?:^|\.)rotary_emb\.inv_freq$/,
  gpt2: /(?:^|\.)attn\.(?:bias|masked_bias)$/,
  bert: /^(?:lm_head|cls)\.|(?:^|\.)embeddings\.(?:position_ids|token_type_ids)$/,
};

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
  return {
    found,
    missing,
    unexpected: [...left].filter((name) => !IGNORED[model.family].test(name) && !isOtherHead(model, name)),
  };
}

/** A head that is tied is saved by some; RoBERTa's pooler is not used for classification, where BERT's is. */
function isOtherHead(model: Model, name: string): boolean {
  if (model.family === "bert") return model.config.model_type === "roberta" && /^(?:roberta\.)?pooler\./.test(name);
  return name === "lm_head.weight" && model.config.tie_word_embeddings;
}

function spellings(model: Model, label: string): string[] {
  const prefix = model.family === "llama"
    ? "model."
    : model.family === "gpt2"
    ? "transformer."
    : `${model.config.prefix}.`;
  const plain = label.startsWith(prefix) ? [label, label.slice(prefix.length)] : [label];
  // TensorFlow's names of a layer norm, which the first BERTs were published with.
  const old = plain.map((name) =>
    name.replace(/LayerNorm\.weight$/, "LayerNorm.gamma").replace(/LayerNorm\.bias$/, "LayerNorm.beta")
  );
  return [...new Set([...plain, ...old])];
}

/** Whether a parameter may be new, drawn from the seed: the head of a model that was not yet trained to classify. */
export const mayBeNew = (model: Model, { value: { label } }: Parameter): boolean =>
  model.family === "bert" && /^(?:classifier\.|bert\.pooler\.)/.test(label);
