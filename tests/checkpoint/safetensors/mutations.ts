import type { Bytes } from "./files.ts";

type Random = () => number;
const below = (uniform: Random, count: number): number => Math.floor(uniform() * count);
const pick = <T>(uniform: Random, list: readonly T[]): T => list[below(uniform, list.length)]!;

const NAMES = [
  "a",
  "b",
  "w.weight",
  "__proto__",
  "constructor",
  "7",
  "",
  "日本",
  "😀",
  "\u0000",
  'q"',
  "b\\",
  "c/d",
  "__metadata__ ",
];
const TYPES: readonly (readonly [string, number])[] = [
  ["F32", 4],
  ["F16", 2],
  ["BF16", 2],
  ["I8", 1],
  ["U8", 1],
  ["F64", 8],
  ["BOOL", 1],
  ["F8_E4M3", 1],
  ["C64", 8],
  ["U32", 4],
  ["F4", 0.5],
  ["F6_E2M3", 0.75],
];
const SHAPES: readonly (readonly number[])[] = [[], [1], [2], [3], [4], [8], [2, 2], [2, 3], [0], [0, 5], [3, 0], [
  1,
  1,
  4,
], [0, Number.MAX_SAFE_INTEGER]];
const SPACES = ["", "", "", " ", "\n", "\t ", "\r\n"];

interface Entry {
  readonly name: string;
  dtype: string;
  shape: number[];
  offsets: number[];
  extra: boolean;
}

/** Lies about tensors that no change of a token tells so often. */
const ON_ENTRIES: readonly ((entry: Entry, uniform: Random) => void)[] = [
  (entry) => entry.extra = true,
  (entry, uniform) => entry.offsets = entry.offsets.map((place) => Math.max(0, place + pick(uniform, [-4, 1, 4]))),
  (entry, uniform) => entry.offsets[below(uniform, 2)]! += pick(uniform, [1, 4]),
  (entry) => entry.offsets.reverse(),
  (entry, uniform) =>
    entry.offsets = pick(uniform, [[], [0], [0, 0], [0, 4, 4], [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]]),
  (entry, uniform) => entry.dtype = pick(uniform, [...TYPES.map(([dtype]) => dtype), "F31", "constructor", ""]),
  (entry, uniform) => entry.shape = pick(uniform, SHAPES).slice(),
  (entry, uniform) =>
    entry.shape.splice(
      below(uniform, entry.shape.length + 1),
      0,
      pick(uniform, [0, 1, 2, 2 ** 32, 2 ** 32 + 1, 2 ** 52, Number.MAX_SAFE_INTEGER]),
    ),
  (entry) => entry.shape.push(Number.MAX_SAFE_INTEGER, 2, 0),
];

/** A file that is valid but for the lies, its JSON written in one of the many ways that JSON allows. */
function makeFile(uniform: Random): { header: string; dataBytes: number } {
  const space = uniform() < 0.7 ? () => "" : () => pick(uniform, SPACES);
  const text = (value: string): string =>
    uniform() < 0.8
      ? JSON.stringify(value)
      : `"${
        [...value].flatMap((letter) => letter.split("")).map((unit) =>
          `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`
        ).join("")
      }"`;
  const object = (fields: readonly (readonly [string, string])[]): string =>
    `{${space()}${
      fields.map(([name, value]) => `${text(name)}${space()}:${space()}${value}`).join(`${space()},${space()}`)
    }${space()}}`;
  const list = (items: readonly number[]): string => `[${space()}${items.join(`${space()},${space()}`)}${space()}]`;
  const entries: Entry[] = [];
  let place = 0;
  for (const name of new Set(Array.from({ length: below(uniform, 5) }, () => pick(uniform, NAMES)))) {
    const [dtype, size] = pick(uniform, TYPES),
      shape = pick(uniform, SHAPES),
      bytes = size * shape.reduce((a, b) => a * b, 1);
    if (!Number.isInteger(bytes)) continue;
    entries.push({ name, dtype, shape: shape.slice(), offsets: [place, place += bytes], extra: false });
  }
  if (entries.length > 0 && uniform() < 0.4) pick(uniform, ON_ENTRIES)(pick(uniform, entries), uniform);
  const fields = entries.map(({ name, dtype, shape, offsets, extra }) => {
    const known = [["dtype", text(dtype)], ["shape", list(shape)], ["data_offsets", list(offsets)]] as const;
    return [name, object(shuffle(uniform, extra ? [...known, [pick(uniform, NAMES), "1"]] : known))] as const;
  });
  if (uniform() < 0.3) {
    fields.push([
      "__metadata__",
      object(uniform() < 0.5 ? [] : [["format", text(pick(uniform, NAMES))], ["__proto__", text("x")]]),
    ]);
  }
  return { header: object(shuffle(uniform, fields)) + " ".repeat(below(uniform, 4)), dataBytes: place };
}

function shuffle<T>(uniform: Random, list: readonly T[]): T[] {
  return list.map((item) => [uniform(), item] as const).sort(([a], [b]) => a - b).map(([, item]) => item);
}

const TOKEN = /"(?:[^"\\]|\\.)*"|\d+|[{}[\],:]| +/g;
const STRANGE = [
  ...[
    "0",
    "1",
    "-0",
    "1.0",
    "4e0",
    "-1",
    "01",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "18446744073709551615",
    "null",
    "true",
    "{}",
    "[]",
    "[0]",
    '""',
    "[[]]",
  ],
  ...[
    '"F32"',
    '"f32"',
    '"F33"',
    '"F6_E2M2"',
    '"a"',
    '"\\u0061"',
    '"\\ud83d"',
    '"\\ude00"',
    '"__metadata__"',
    '"__proto__"',
    '"dtype"',
    '"\\x"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "\n",
    "\0",
    "\ufeff",
    "é",
  ],
];

/** Changes the header by its tokens: what a hostile or broken writer would do, not only noise. */
const ON_TEXT: readonly ((header: string, uniform: Random) => string)[] = [
  (header, uniform) => replaceToken(header, uniform, () => pick(uniform, STRANGE)),
  (header, uniform) => replaceToken(header, uniform, (token) => token + pick(uniform, STRANGE)),
  (header, uniform) => replaceToken(header, uniform, () => ""),
  (header, uniform) =>
    replaceToken(
      header,
      uniform,
      (token) => /^\d+$/.test(token) ? String(Math.max(0, Number(token) + pick(uniform, [-4, -1, 1, 2, 4, 8]))) : token,
    ),
  (header, uniform) => replaceToken(header, uniform, (token) => token + token),
  // One token in the place of another of its kind: two names alike, two dtypes swapped, offsets that overlap.
  (header, uniform) =>
    replaceToken(
      header,
      uniform,
      (token) =>
        pick(
          uniform,
          (header.match(TOKEN) ?? [token]).filter((other) => other[0] === token[0] || /^\d+$/.test(other + token)),
        ),
    ),
  // An entry a second time.
  (header, uniform) => {
    const entries = header.match(/"(?:[^"\\]|\\.)*"\s*:\s*\{[^{}]*\}/g) ?? [];
    return entries.length === 0
      ? header
      : header.replace(/\}( *)$/, (_, spaces) => `,${pick(uniform, entries)}}${spaces}`);
  },
  (header, uniform) => pick(uniform, [" ", "\n", "\ufeff", "[", "{}"]) + header,
  (header, uniform) => header + pick(uniform, [" ", "   ", "\n", "\0", "}", "{}", "x"]),
  (header, uniform) => header.slice(0, below(uniform, header.length)),
];

function replaceToken(header: string, uniform: Random, change: (token: string) => string): string {
  const chosen = below(uniform, header.match(TOKEN)?.length ?? 0);
  let at = 0;
  return header.replace(TOKEN, (token) => at++ === chosen ? change(token) : token);
}

/** Changes the finished bytes, wherever they belong to. */
const ON_BYTES: readonly ((file: Bytes, uniform: Random) => Bytes)[] = [
  (file, uniform) => file.slice(0, below(uniform, file.length + 1)),
  (file, uniform) =>
    Uint8Array.from([...file, ...Array.from({ length: 1 + below(uniform, 8) }, () => below(uniform, 256))]),
  (file, uniform) => change(file, below(uniform, file.length), (byte) => byte ^ (1 << below(uniform, 8))),
  (file, uniform) => change(file, below(uniform, file.length), () => below(uniform, 256)),
  (file, uniform) =>
    change(file, below(uniform, Math.min(8, file.length)), (byte) => uniform() < 0.5 ? byte + 1 : below(uniform, 256)),
];

function change(file: Bytes, at: number, by: (byte: number) => number): Bytes {
  const changed = file.slice();
  if (at < file.length) changed[at] = by(file[at]!);
  return changed;
}

/** A file that is valid, or was before a lie and up to three changes. */
export function makeMutant(uniform: Random): Bytes {
  let { header, dataBytes } = makeFile(uniform);
  const changes = uniform() < 0.5 ? 0 : 1 + below(uniform, 3);
  for (let i = 0; i < changes; i++) if (uniform() < 0.7) header = pick(uniform, ON_TEXT)(header, uniform);
  if (uniform() < 0.1) dataBytes = Math.max(0, dataBytes + pick(uniform, [-4, -1, 1, 4]));
  const json = new TextEncoder().encode(header);
  let file: Bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  for (let i = 0; i < changes; i++) if (uniform() < 0.2) file = pick(uniform, ON_BYTES)(file, uniform);
  return file;
}
