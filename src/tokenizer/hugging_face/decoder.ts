import { BYTE_CHARACTERS } from "../byte_level.ts";
import { decodeUTF8 } from "../tokenizer.ts";
import { type ComponentDescription, descriptionOf, descriptionsOf, refuseComponent } from "./description.ts";
import { patternOf } from "./pattern.ts";

/** A step that turns tokens into pieces of text, which are joined after the last of a chain. */
type DecoderStep = (tokens: readonly string[]) => readonly string[];

/**
 * Compiles a `decoder` of tokenizer.json. It is not the library's own, whose ByteFallback gives one U+FFFD for several
 * wrong bytes and drops a byte order mark, its Metaspace knows no prepend_scheme, and its ByteLevel searches all added
 * tokens for each token.
 * @throws RangeError at a kind whose results could differ from those of Hugging Face's `tokenizers`.
 */
export function compileDecoder(value: unknown): (tokens: readonly string[]) => string {
  const description = descriptionOf(value, "decoder");
  if (!description) return (tokens) => tokens.join(" ");
  const step = stepOf(description);
  return (tokens) => step(tokens).join("");
}

function stepOf(description: ComponentDescription): DecoderStep {
  const { type } = description;
  switch (type) {
    case "Sequence": {
      const steps = descriptionsOf(description["decoders"], "decoders").map(stepOf);
      return (tokens) => steps.reduce<readonly string[]>((done, step) => step(done), tokens);
    }
    case "ByteLevel":
      return byteLevel();
    case "ByteFallback":
      return byteFallback;
    case "Fuse":
      return (tokens) => [tokens.join("")];
    case "Replace": {
      const pattern = patternOf(description["pattern"]), content = String(description["content"] ?? "");
      return (tokens) => tokens.map((token) => token.replace(pattern, () => content));
    }
    case "Strip":
      return strip(
        String(description["content"] ?? ""),
        Number(description["start"] ?? 0),
        Number(description["stop"] ?? 0),
      );
    case "Metaspace": {
      const sign = String(description["replacement"] ?? "▁"),
        never = description["prepend_scheme"] === "never" || description["add_prefix_space"] === false;
      return (tokens) => tokens.map((token, place) => token.replaceAll(sign, place === 0 && !never ? "" : " "));
    }
    case "WordPiece":
      return wordPiece(String(description["prefix"] ?? "##"), description["cleanup"] !== false);
    default:
      return refuseComponent("its decoder", `"${String(type)}"`);
  }
}

const BYTE_OF = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));
const encoder = new TextEncoder();

function byteLevel(): DecoderStep {
  const remembered = new Map<string, readonly number[]>();
  return (tokens) => {
    const bytes: number[] = [];
    for (const token of tokens) {
      let known = remembered.get(token);
      if (!known) remembered.set(token, known = tokenBytes(token));
      for (const byte of known) bytes.push(byte);
    }
    return [decodeUTF8(Uint8Array.from(bytes))];
  };
}

/** Bytes of a token in GPT-2's visible form, or its own UTF-8 bytes if it has another character. */
function tokenBytes(token: string): number[] {
  const bytes = Array.from(token, (character) => BYTE_OF.get(character));
  return bytes.includes(undefined) ? Array.from(encoder.encode(token)) : bytes as number[];
}

const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;

/** The byte that a token of SentencePiece stands for, if it stands for one. */
export function fallbackByte(token: string): number | undefined {
  const digits = BYTE_TOKEN.exec(token)?.[1];
  return digits === undefined ? undefined : parseInt(digits, 16);
}

function byteFallback(tokens: readonly string[]): string[] {
  const pieces: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length === 0) return;
    try {
      pieces.push(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes)));
    } catch {
      pieces.push(...bytes.map(() => "\ufffd"));
    }
    bytes = [];
  };
  for (const token of tokens) {
    const byte = fallbackByte(token);
    if (byte !== undefined) bytes.push(byte);
    else flush(), pieces.push(token);
  }
  flush();
  return pieces;
}

/** A step that takes up to `start` and `stop` times `content` from the ends of each token. */
function strip(content: string, start: number, stop: number): DecoderStep {
  return (tokens) =>
    tokens.map((token) => {
      const characters = Array.from(token);
      let from = 0, to = characters.length;
      while (from < start && characters[from] === content) from++;
      while (characters.length - to < stop && to > from && characters[to - 1] === content) to--;
      return characters.slice(from, to).join("");
    });
}

function wordPiece(prefix: string, cleanup: boolean): DecoderStep {
  return (tokens) =>
    tokens.map((token, place) => {
      const piece = place === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
      return cleanup ? cleanUp(piece) : piece;
    });
}

/**
 * Takes the spaces before English punctuation and contractions away, as transformers does if a tokenizer's config says
 * so.
 */
export function cleanUp(text: string): string {
  return text.replaceAll(" .", ".").replaceAll(" ?", "?").replaceAll(" !", "!").replaceAll(" ,", ",").replaceAll(
    " ' ",
    "'",
  )
    .replaceAll(" n't", "n't").replaceAll(" 'm", "'m").replaceAll(" 's", "'s").replaceAll(" 've", "'ve").replaceAll(
      " 're",
      "'re",
    );
}
