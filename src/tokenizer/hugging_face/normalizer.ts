import { type ComponentDescription, descriptionOf, descriptionsOf, refuseComponent } from "./description.ts";
import { patternOf } from "./pattern.ts";

type Normalizer = (text: string) => string;

/** Han characters that BERT parts from their neighbours; U+2B820 to U+2B91F are left out as in the reference. */
const HAN = new RegExp(
  "[\\u4e00-\\u9fff\\u3400-\\u4dbf\\uf900-\\ufaff\\u{20000}-\\u{2a6df}\\u{2a700}-\\u{2b73f}\\u{2b740}-\\u{2b81f}" +
    "\\u{2b920}-\\u{2ceaf}\\u{2f800}-\\u{2fa1f}]",
  "gu",
);

/**
 * Compiles a `normalizer` of tokenizer.json; null does nothing. It is not the library's own, whose Strip and
 * BertNormalizer take JavaScript's white space for Unicode's (U+FEFF, U+0085), its Lowercase knows a final sigma, its
 * BertNormalizer sees no character above U+FFFF, and it reads "$" in the content of a Replace.
 * @throws RangeError at a kind whose results could differ from those of Hugging Face's `tokenizers`.
 */
export function compileNormalizer(value: unknown): Normalizer | null {
  const description = descriptionOf(value, "normalizer");
  if (!description) return null;
  const { type } = description;
  switch (type) {
    case "Sequence": {
      const steps = descriptionsOf(description["normalizers"], "normalizers").map(compileNormalizer);
      return (text) => steps.reduce((done, step) => step ? step(done) : done, text);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) => text.normalize(type);
    case "Lowercase":
      return lowercase;
    case "StripAccents":
      return (text) => text.replace(/\p{M}/gu, "");
    case "Strip": {
      const left = description["strip_left"] === true, right = description["strip_right"] === true;
      return (text) =>
        text.replace(left ? /^\p{White_Space}+/u : "", "").replace(right ? /\p{White_Space}+$/u : "", "");
    }
    case "Prepend": {
      const prepend = String(description["prepend"] ?? "");
      return (text) => text === "" ? "" : prepend + text;
    }
    case "Replace": {
      const pattern = patternOf(description["pattern"]), content = String(description["content"] ?? "");
      return (text) => text.replace(pattern, () => content);
    }
    case "BertNormalizer":
      return bertNormalizer(description);
    default:
      return refuseComponent("its normalizer", `"${String(type)}"`);
  }
}

/** Lowercases each character for itself: a sigma at the end of a word stays an ordinary one. */
const lowercase: Normalizer = (text) => Array.from(text, (character) => character.toLowerCase()).join("");

function bertNormalizer(description: ComponentDescription): Normalizer {
  const lower = description["lowercase"] === true, strip = (description["strip_accents"] ?? lower) === true;
  return (text) => {
    if (description["clean_text"] === true) {
      text = text.replace(/[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}]/gu, "").replace(/\p{White_Space}/gu, " ");
    }
    if (description["handle_chinese_chars"] === true) text = text.replace(HAN, " $& ");
    if (strip) text = text.normalize("NFD").replace(/\p{Mn}/gu, "");
    return lower ? lowercase(text) : text;
  };
}
