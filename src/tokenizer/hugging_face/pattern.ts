import { SplitPreTokenizer } from "@huggingface/tokenizers";
import { type ComponentDescription, descriptionOf, refuseComponent, show } from "./description.ts";

/** An expression without its classes and escapes, whose signs mean themselves. */
const withoutClasses = (source: string): string =>
  source.replace(/\\G/g, "(?>").replace(/\\.|\[(?:\\.|[^\]])*\]/gsu, "x");

/**
 * The expression of a `pattern` of tokenizer.json ({String} or {Regex}, in Oniguruma's syntax) for matching all over a
 * text.
 * @throws RangeError at features that JavaScript's expressions lack: possessive quantifiers, atomic groups, `\G`.
 */
export function patternOf(value: unknown): RegExp {
  const pattern: ComponentDescription = descriptionOf(value, "a pattern") ?? {};
  const { String: text, Regex: regex } = pattern;
  if (typeof text === "string") return new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "gu");
  if (typeof regex !== "string") refuseComponent("a pattern", show(value));
  // The library reads these as ordinary quantifiers and groups, which may match elsewhere.
  if (/[*+?]\+|\(\?>/.test(withoutClasses(regex))) {
    refuseComponent("a pattern with a possessive quantifier, an atomic group or \\G", show(regex));
  }
  try {
    const compiled =
      new SplitPreTokenizer({ type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false }).pattern;
    if (compiled) return compiled;
  } catch (error) {
    refuseComponent("a pattern", `${show(regex)} (${(error as Error).message})`);
  }
  return refuseComponent("a pattern", show(regex));
}

/** A part of a text: a match of an expression, or the text between two. */
export interface TextPart {
  readonly text: string;
  readonly matched: boolean;
}

export function partsOf(text: string, pattern: RegExp): TextPart[] {
  const parts: TextPart[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) parts.push({ text: text.slice(end, match.index), matched: false });
    end = match.index + match[0].length;
    if (match[0] !== "") parts.push({ text: match[0], matched: true });
  }
  if (end < text.length) parts.push({ text: text.slice(end), matched: false });
  return parts;
}
