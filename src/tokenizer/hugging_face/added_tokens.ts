import type { Span } from "../tokenizer.ts";
import { type ComponentDescription, show } from "./description.ts";

/** A text that is one token wherever it stands, as tokenizer.json lists it. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** True if no letter or digit may stand next to it. */
  readonly single_word: boolean;
  /** True if it takes the white space before (left) or behind (right) it with it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** True if it is searched for in the normalized text, not in the original one. */
  readonly normalized: boolean;
  readonly special: boolean;
}

/** A part of a text: an added token, or (`id` undefined) the text between two. */
export interface Section extends Span {
  readonly id: number | undefined;
}

export function addedTokenOf(description: ComponentDescription, id: unknown = description["id"]): AddedToken {
  const { content, special } = description;
  if (typeof content !== "string" || content === "" || !Number.isInteger(id) || Number(id) < 0) {
    throw new RangeError(
      `Cannot use the tokenizer: expected an added token to have a text and an id from 0 on, got ${
        show(description)
      }. Copy tokenizer.json again`,
    );
  }
  const is = (name: string): boolean => description[name] === true;
  const normalized = typeof description["normalized"] === "boolean" ? description["normalized"] : special !== true;
  return {
    id: Number(id),
    content,
    single_word: is("single_word"),
    lstrip: is("lstrip"),
    rstrip: is("rstrip"),
    normalized,
    special: is("special"),
  };
}

const WORD = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]";
const ENDS_WITH_WORD = new RegExp(`${WORD}$`, "u"), STARTS_WITH_WORD = new RegExp(`^${WORD}`, "u");

/**
 * Cuts a text at added tokens: the leftmost, and among those the longest, like `find_matches` of Hugging Face's
 * `tokenizers` (tokenizers/src/tokenizer/added_vocabulary.rs). The library's own ignores `single_word` and strips
 * JavaScript's white space.
 */
export function compileSections(
  tokens: readonly (AddedToken & { readonly found_as: string })[],
): (text: string) => Section[] {
  if (tokens.length === 0) return (text) => text === "" ? [] : [{ id: undefined, start: 0, end: text.length }];
  const by_text = new Map(tokens.map((token) => [token.found_as, token]));
  const longest_first = [...by_text.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(longest_first.map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("|"), "gu");
  return (text) => {
    const sections: Section[] = [];
    let done = 0;
    for (const { 0: found, index } of text.matchAll(pattern)) {
      const { id, single_word, lstrip, rstrip } = by_text.get(found)!;
      let start = index, end = index + found.length;
      if (
        single_word &&
        (ENDS_WITH_WORD.test(text.slice(Math.max(0, start - 2), start)) ||
          STARTS_WITH_WORD.test(text.slice(end, end + 2)))
      ) continue;
      if (lstrip) { while (start > done && /\p{White_Space}/u.test(text[start - 1]!)) start--; }
      if (rstrip) { while (end < text.length && /\p{White_Space}/u.test(text[end]!)) end++; }
      if (start > done) sections.push({ id: undefined, start: done, end: start });
      sections.push({ id, start, end });
      done = end;
    }
    if (done < text.length) sections.push({ id: undefined, start: done, end: text.length });
    return sections;
  };
}
