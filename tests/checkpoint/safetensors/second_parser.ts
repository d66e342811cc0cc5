import type { Bytes, Described } from "./files.ts";

/**
 * The format a second time, in other ways than src: JSON.parse, whose leniency is made up for by counting tokens; big
 * integers; and the data painted byte by byte. For small files. Null for what is not to be accepted.
 */
export function parseAgain(file: Bytes): { tensors: Described[]; metadata: [string, string][] } | null {
  if (file.length < 8) return null;
  const length = file.slice(0, 8).reduce((sum, byte, i) => sum + (BigInt(byte) << BigInt(8 * i)), 0n);
  if (length > 100_000_000n || length + 8n > BigInt(file.length)) return null;
  const start = 8 + Number(length),
    text = decode(file.slice(8, start)),
    header = text === null ? null : parseObject(text.replace(/ +$/, ""));
  if (!header) return null;
  const { __metadata__: metadata = {}, ...entries } = header;
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === "string")) return null;
  const tensors = Object.entries(entries).map(([name, value]) => describe(name, value, start));
  return tensors.every((tensor) => tensor !== null) && coversOnce(tensors, start, file.length)
    ? { tensors, metadata: Object.entries(metadata) as [string, string][] }
    : null;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Wrong bytes decode to U+FFFD, which encodes to others. */
function decode(bytes: Bytes): string | null {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes), again = new TextEncoder().encode(text);
  return again.length === bytes.length && again.every((byte, i) => byte === bytes[i]) ? text : null;
}

function parseObject(text: string): Record<string, unknown> | null {
  if (!text.startsWith("{") || !text.endsWith("}")) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  // JSON.parse has checked the syntax, so texts are found by this; what is left are numbers, words and signs.
  const names = text.match(/"(?:[^"\\]|\\.)*"(?=[ \t\r\n]*:)/g)?.length ?? 0,
    bare = text.replace(/"(?:[^"\\]|\\.)*"/g, "");
  const isWhole = (bare.match(/[-+.\w]+/g) ?? []).every((word) => /^[0-9]+$/.test(word) && BigInt(word) < 1n << 53n);
  return isRecord(value) && isWhole && names === countNames(value) ? value : null;
}

/** Fewer than the text has where one stands there twice. NaN where a text has half a surrogate pair. */
function countNames(value: unknown): number {
  if (typeof value === "string") return /^[^\ud800-\udfff]*$/u.test(value) ? 0 : NaN;
  if (typeof value !== "object" || value === null) return 0;
  const ofValues = Object.values(value).reduce((sum: number, item) => sum + countNames(item), 0);
  return Array.isArray(value)
    ? ofValues
    : ofValues + Object.keys(value).reduce((sum, name) => sum + 1 + countNames(name), 0);
}

const BITS =
  /^(?:(F4)|(F6_E[23]M[32])|(BOOL|[UI]8|F8_E(?:5M2|4M3|8M0|4M3FNUZ|5M2FNUZ))|([UIF]16|BF16)|([UIF]32)|([UIFC]64))$/;

function describe(name: string, value: unknown, dataStart: number): Described | null {
  if (!isRecord(value) || Object.keys(value).sort().join() !== "data_offsets,dtype,shape") return null;
  const { dtype, shape, data_offsets: offsets } = value;
  const isCounts = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every((item) => typeof item === "number");
  const width = typeof dtype === "string" && dtype !== "F6_E2M2" && dtype !== "F6_E3M3" ? BITS.exec(dtype) : null;
  if (!width || !isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) return null;
  const bits = [4n, 6n, 8n, 16n, 32n, 64n][width.slice(1).findIndex((group) => group !== undefined)]!;
  let elements = 1n;
  for (const size of shape) if ((elements *= BigInt(size)) >= 1n << 53n) return null;
  const [from, to] = offsets as [number, number];
  if (elements * bits >= 1n << 53n || 8n * (BigInt(to) - BigInt(from)) !== elements * bits) return null;
  return { name, dtype: dtype as string, shape, start: dataStart + from, end: dataStart + to };
}

/**
 * Each byte of the data is painted once, and an empty tensor lies where no other goes on. Sorts the tensors by place.
 */
function coversOnce(tensors: Described[], dataStart: number, size: number): boolean {
  const painted = new Uint8Array(size - dataStart);
  for (const { start, end } of tensors) {
    if (end > size) return false;
    for (let at = start; at < end; at++) if (painted[at - dataStart]!++ > 0) return false;
  }
  const isInside = (place: number): boolean => tensors.some(({ start, end }) => start < place && place < end);
  tensors.sort((a, b) => a.start - b.start || a.end - b.end);
  return painted.every((times) => times === 1) && tensors.every(({ start, end }) => start !== end || !isInside(start));
}
