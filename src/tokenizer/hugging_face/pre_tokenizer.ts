import { splitWords } from "../byte_level.ts";
import { type ComponentDescription, descriptionOf, descriptionsOf, refuseComponent, show } from "./description.ts";
import { partsOf, patternOf, type TextPart } from "./pattern.ts";

/** Cuts a text into words. `first` is true at the beginning of the whole text. */
type Split = (text: string, first: boolean) => string[];

export interface PreTokenizer {
  readonly split: Split;
  /** True if the model sees a word's UTF-8 bytes, each as GPT-2's visible character. */
  readonly byte_level: boolean;
}

/** Characters of a word, which Rust's regex calls \w. */
const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";
const WORDS_AND_SIGNS = new RegExp(`[${WORD}]+|[^${WORD}\\p{White_Space}]+`, "gu");

const PUNCTUATION = /[!-/:-@[-`{-~\p{P}]/gu;
const MERGED: Readonly<Record<string, (parts: readonly TextPart[]) => string[]>> = {
  Isolated: (parts) => parts.map(({ text }) => text),
  Removed: (parts) => parts.filter(({ matched }) => !matched).map(({ text }) => text),
  Contiguous: (parts) => joined(parts, (part, before) => part.matched === before.matched),
  MergedWithPrevious: (parts) => joined(parts, (part, before) => part.matched && !before.matched),
  // A sign is joined to the next part: the mirror image of MergedWithPrevious.
  MergedWithNext: (parts) => joined(parts, (part, before) => before.matched && !part.matched),
};

/** The parts with some of them joined to the one before. */
function joined(parts: readonly TextPart[], joins: (part: TextPart, before: TextPart) => boolean): string[] {
  const words: string[] = [];
  parts.forEach((part, place) => {
    if (place > 0 && joins(part, parts[place - 1]!)) words[words.length - 1] += part.text;
    else words.push(part.text);
  });
  return words;
}

/**
 * Compiles a `pre_tokenizer` of tokenizer.json. It is not the library's own, whose ByteLevel and Whitespace know
 * JavaScript's white space and ASCII's letters only, its Digits ASCII's digits, its Punctuation keeps signs together
 * that belong apart, its Metaspace never splits, and its Split has two behaviours.
 * @throws RangeError at a kind whose results could differ from those of Hugging Face's `tokenizers`.
 */
export function compilePreTokenizer(value: unknown): PreTokenizer {
  const description = descriptionOf(value, "pre_tokenizer");
  if (!description) return { split: (text) => [text], byte_level: false };
  if (description["type"] !== "Sequence") {
    return { split: splitOf(description), byte_level: description["type"] === "ByteLevel" };
  }
  const steps = descriptionsOf(description["pretokenizers"], "pretokenizers").map(compilePreTokenizer);
  const byte_level = steps.at(-1)?.byte_level === true;
  if (steps.slice(0, -1).some((step) => step.byte_level)) {
    refuseComponent("its pre_tokenizer", "a Sequence that goes on after ByteLevel");
  }
  return {
    split: (text, first) =>
      steps.reduce((words, step) => words.flatMap((word, place) => step.split(word, first && place === 0)), [text]),
    byte_level,
  };
}

function splitOf(description: ComponentDescription): Split {
  const { type } = description;
  switch (type) {
    case "ByteLevel":
      return byteLevel(description);
    case "Split":
      return splitBy(patternOf(description["pattern"]), description["behavior"], description["invert"] === true);
    case "Digits":
      return splitBy(/\p{N}/gu, description["individual_digits"] === true ? "Isolated" : "Contiguous");
    case "Punctuation":
      return splitBy(PUNCTUATION, description["behavior"] ?? "Isolated");
    case "Whitespace": // \w and \s of Rust's regex
      return (text) => text.match(WORDS_AND_SIGNS) ?? [];
    case "WhitespaceSplit":
      return (text) => text.match(/\P{White_Space}+/gu) ?? [];
    case "CharDelimiterSplit":
      return splitBy(patternOf({ String: description["delimiter"] }), "Removed");
    case "BertPreTokenizer":
      return (text) =>
        (text.match(/\P{White_Space}+/gu) ?? []).flatMap((word) => MERGED["Isolated"]!(partsOf(word, PUNCTUATION)));
    case "Metaspace":
      return metaspace(description);
    default:
      return refuseComponent("its pre_tokenizer", `"${String(type)}"`);
  }
}

function splitBy(pattern: RegExp, behavior: unknown, invert: boolean = false): Split {
  const merge = MERGED[String(behavior)] ?? refuseComponent("the behavior of a Split", show(behavior));
  return (text) => {
    const parts = partsOf(text, pattern);
    return merge(invert ? parts.map((part) => ({ text: part.text, matched: !part.matched })) : parts);
  };
}

function byteLevel(description: ComponentDescription): Split {
  const prefix = description["add_prefix_space"] === true, words = description["use_regex"] !== false;
  return (text) => {
    if (prefix && !text.startsWith(" ")) text = ` ${text}`;
    return words ? [...splitWords(text)] : [text];
  };
}

/** SentencePiece's way with spaces: each becomes a visible sign, one more before the text, and words begin with it. */
function metaspace(description: ComponentDescription): Split {
  const sign = String(description["replacement"] ?? "▁");
  const scheme = description["prepend_scheme"] ?? (description["add_prefix_space"] === false ? "never" : "always");
  if (description["str_rep"] !== undefined && description["str_rep"] !== sign) {
    refuseComponent("its Metaspace", show(description));
  }
  const pattern = patternOf({ String: sign });
  return (text, first) => {
    let visible = text.replaceAll(" ", () => sign);
    if (!visible.startsWith(sign) && (scheme === "always" || (scheme === "first" && first))) visible = sign + visible;
    return description["split"] === false ? [visible] : MERGED["MergedWithNext"]!(partsOf(visible, pattern));
  };
}
