/**
 * JSON of strangers, read without loss: names of an object in a Map, so that none of them is special, and none twice;
 * numbers as their text if a double could round them. JSON.parse keeps the last of two equal names and turns
 * 9007199254740993 into ...992.
 */
export type LosslessJson = string | number | OddNumber | boolean | null | readonly LosslessJson[] | JsonObject;
export type JsonObject = ReadonlyMap<string, LosslessJson>;

/** A number that is not written as a whole one from 0 to 2^53 - 1: 1.0, 4e0, -0, 2^53. */
export interface OddNumber {
  readonly digits: string;
}

/** Throws an error; `problem` continues a sentence that begins with the file's name. */
export type Refuse = (problem: string) => never;

export const isObject = (value: LosslessJson | undefined): value is JsonObject => value instanceof Map;

/** True for a list of whole numbers from 0 to 2^53 - 1. */
export const isCounts = (value: LosslessJson | undefined): value is readonly number[] =>
  Array.isArray(value) && value.every((item) => typeof item === "number");

/** A name for a message: quoted, on one line, cut short. */
export const quote = (name: string): string => JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);

/**
 * The object that a text begins with, nested at most `depth` deep, and its end. Each of its values is converted
 * as soon as it is read, so that a hundred megabytes of nonsense are refused before they have become objects.
 */
export function scanObject<Value>(
  text: string,
  depth: number,
  refuse: Refuse,
  convert: (name: string, value: LosslessJson) => Value,
): { readonly fields: ReadonlyMap<string, Value>; readonly end: number } {
  const scanner = new Scanner(text, refuse);
  if (text[0] !== "{") refuse("its JSON is not an object");
  const fields = scanner.object(depth - 1, convert);
  return { fields, end: scanner.at };
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const WORDS: Readonly<Record<string, boolean | null>> = { true: true, false: false, null: null };
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

class Scanner {
  at = 0;
  readonly #text: string;
  readonly #refuse: Refuse;

  constructor(text: string, refuse: Refuse) {
    this.#text = text;
    this.#refuse = refuse;
  }

  object<Value>(depth: number, convert: (name: string, value: LosslessJson) => Value): ReadonlyMap<string, Value> {
    const fields = new Map<string, Value>();
    this.#items("}", () => {
      if (this.#text[this.at] !== '"') this.#fail("a name in quotes is expected");
      const name = this.#string();
      if (fields.has(name)) this.#fail(`the name ${quote(name)} stands there twice`);
      this.#space();
      if (this.#text[this.at++] !== ":") this.#fail('":" is expected');
      this.#space();
      fields.set(name, convert(name, this.#value(depth)));
    });
    return fields;
  }

  #value(depth: number): LosslessJson {
    const first = this.#text[this.at];
    if (first === '"') return this.#string();
    if (first === "{" || first === "[") {
      if (depth === 0) return this.#fail("it nests too deep");
      return first === "{" ? this.object(depth - 1, (_, value) => value) : this.#list(depth - 1);
    }
    const digits = this.#match(NUMBER);
    if (digits !== undefined) {
      return /^\d+$/.test(digits) && Number.isSafeInteger(Number(digits)) ? Number(digits) : { digits };
    }
    const word = this.#match(WORD);
    return word === undefined ? this.#fail("a value is expected") : WORDS[word]!;
  }

  #list(depth: number): readonly LosslessJson[] {
    const list: LosslessJson[] = [];
    this.#items("]", () => list.push(this.#value(depth)));
    return list;
  }

  /** Calls `item` at the beginning of each item between the bracket here and the one that ends it. */
  #items(close: string, item: () => void): void {
    this.at++;
    this.#space();
    if (this.#text[this.at] === close) {
      this.at++;
      return;
    }
    for (;;) {
      item();
      this.#space();
      const next = this.#text[this.at++];
      if (next === close) return;
      if (next !== ",") this.#fail(`"," or "${close}" is expected`);
      this.#space();
    }
  }

  #string(): string {
    let text = "", from = ++this.at;
    for (;;) {
      const code = this.#text.charCodeAt(this.at); // NaN at the end
      if (code === 0x22) break;
      if (!(code >= 0x20)) this.#fail("a text has no end, or a control character");
      this.at++;
      if (code !== 0x5c) continue;
      text += this.#text.slice(from, this.at - 1) + this.#escape();
      from = this.at;
    }
    text += this.#text.slice(from, this.at++);
    return text.isWellFormed() ? text : this.#fail("a text has half a surrogate pair");
  }

  /** The character that an escape stands for, read from behind the backslash. */
  #escape(): string {
    const letter = this.#text[this.at++] ?? "";
    if (letter !== "u") return ESCAPES[letter] ?? this.#fail("a text has an unknown escape");
    const hex = this.#text.slice(this.at, this.at += 4);
    return /^[0-9a-fA-F]{4}$/.test(hex)
      ? String.fromCharCode(parseInt(hex, 16))
      : this.#fail("a text has an unknown escape");
  }

  #space(): void {
    for (
      let code;
      code = this.#text.charCodeAt(this.at), code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
    ) this.at++;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#text)?.[0];
    this.at += found?.length ?? 0;
    return found;
  }

  #fail(problem: string): never {
    return this.#refuse(`its JSON is wrong near character ${this.at}: ${problem}`);
  }
}
