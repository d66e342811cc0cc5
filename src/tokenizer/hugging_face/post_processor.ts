import { type ComponentDescription, descriptionOf, descriptionsOf, refuseComponent, show } from "./description.ts";

/** Ids with the special tokens around them, and the type of each. */
interface Processed {
  readonly ids: number[];
  readonly types: number[];
}

/** Puts special tokens around one text or two. */
export type PostProcessor = (first: readonly number[], second: readonly number[] | null) => Processed;

interface TemplatePiece {
  /** 0 or 1: the text that stands here; a list: these special tokens. */
  readonly from: 0 | 1 | readonly number[];
  readonly type: number;
}

const PLAIN: PostProcessor = fromTemplates([{ from: 0, type: 0 }], [{ from: 0, type: 0 }, { from: 1, type: 1 }]);

/**
 * Compiles a `post_processor` of tokenizer.json. It is not the library's own, which gives the second text of RoBERTa
 * type 1 (the reference 0), and takes an empty second text for none.
 * @throws RangeError at a kind whose results could differ from those of Hugging Face's `tokenizers`.
 */
export function compilePostProcessor(value: unknown): PostProcessor {
  const description = descriptionOf(value, "post_processor");
  switch (description?.["type"]) {
    case undefined:
    case "ByteLevel": // corrects positions only
      return PLAIN;
    case "TemplateProcessing":
      return fromTemplates(templateOf(description!, "single"), templateOf(description!, "pair"));
    case "BertProcessing":
    case "RobertaProcessing": {
      const roberta = description!["type"] === "RobertaProcessing";
      const cls = [idOf(description!, "cls")], sep = [idOf(description!, "sep")], second = roberta ? 0 : 1;
      const single: TemplatePiece[] = [{ from: cls, type: 0 }, { from: 0, type: 0 }, { from: sep, type: 0 }];
      return fromTemplates(single, [
        ...single,
        ...(roberta ? [{ from: sep, type: 0 }] : []),
        { from: 1, type: second },
        { from: sep, type: second },
      ]);
    }
    case "Sequence": {
      const steps = descriptionsOf(description!["processors"], "processors").filter(({ type }) => type !== "ByteLevel");
      return steps.length > 1
        ? refuseComponent("its post_processor", "a Sequence that adds tokens twice")
        : compilePostProcessor(steps[0]);
    }
    default:
      return refuseComponent("its post_processor", `"${String(description!["type"])}"`);
  }
}

function fromTemplates(single: readonly TemplatePiece[], pair: readonly TemplatePiece[]): PostProcessor {
  return (first, second) => {
    const ids: number[] = [], types: number[] = [];
    for (const { from, type } of second ? pair : single) {
      for (const id of from === 0 ? first : from === 1 ? second ?? [] : from) ids.push(id), types.push(type);
    }
    return { ids, types };
  };
}

function idOf(description: ComponentDescription, name: string): number {
  const value = description[name];
  return Array.isArray(value) && Number.isInteger(value[1])
    ? value[1]
    : refuseComponent(`"${name}" of its post_processor`, show(value));
}

function templateOf(description: ComponentDescription, name: string): TemplatePiece[] {
  const tokens = descriptionOf(description["special_tokens"], "special_tokens") ?? {};
  return descriptionsOf(description[name], `"${name}" of post_processor`).map(({ SpecialToken, Sequence }) => {
    const piece = descriptionOf(SpecialToken ?? Sequence, "a piece of a template") ?? {};
    const type = Number(piece["type_id"] ?? 0);
    if (Sequence) return { from: piece["id"] === "B" ? 1 : 0, type };
    const ids = descriptionOf(tokens[String(piece["id"])], `special token ${show(piece["id"])}`)?.["ids"];
    return Array.isArray(ids) && ids.every(Number.isInteger)
      ? { from: ids as number[], type }
      : refuseComponent("a template's special token", show(piece));
  });
}
