// Just enough of Parquet to write files for the tests: required or optional flat columns, PLAIN, data pages of version
// 1 (apache/parquet-format: src/main/thrift/parquet.thrift, in Thrift's compact protocol).

export interface ParquetColumn {
  readonly name: string;
  readonly type: "string" | "int64" | "double";
  readonly values: readonly (string | bigint | number | null)[];
  readonly optional?: boolean;
}

/** Codes of the format. SNAPPY is written as literals; GZIP is claimed only. */
const CODECS = { UNCOMPRESSED: 0, SNAPPY: 1, GZIP: 2 } as const;
const TYPES = { int64: 2, double: 5, string: 6 } as const;

export function writeParquet(
  groups: readonly (readonly ParquetColumn[])[],
  codec: keyof typeof CODECS = "UNCOMPRESSED",
): Uint8Array<ArrayBuffer> {
  const out: number[] = [...utf8("PAR1")], row_groups: Value[] = [];
  for (const columns of groups) {
    const rows = columns[0]!.values.length, start = out.length;
    const chunks = columns.map((column) => {
      const offset = out.length, page = pageOf(column), stored = codec === "SNAPPY" ? snappy(page) : page;
      const header = struct([1, i32(0)], [2, i32(page.length)], [3, i32(stored.length)], [
        5,
        struct([1, i32(rows)], [2, i32(0)], [3, i32(3)], [4, i32(3)]),
      ]);
      for (const byte of [...header.bytes, ...stored]) out.push(byte);
      const size = i64(out.length - offset);
      return struct([2, i64(offset)], [
        3,
        struct(
          [1, i32(TYPES[column.type])],
          [2, list([i32(0)])],
          [3, list([binary(column.name)])],
          [4, i32(CODECS[codec])],
          [5, i64(rows)],
          [6, size],
          [7, size],
          [9, i64(offset)],
        ),
      ]);
    });
    row_groups.push(struct([1, list(chunks)], [2, i64(out.length - start)], [3, i64(rows)]));
  }
  const columns = groups[0]!, total = groups.reduce((sum, [first]) => sum + first!.values.length, 0);
  const schema = columns.map(({ name, type, optional }) =>
    struct(
      [1, i32(TYPES[type])],
      [3, i32(optional ? 1 : 0)],
      [4, binary(name)],
      ...(type === "string" ? [[6, i32(0)] as const] : []),
    )
  );
  const root = struct([4, binary("root")], [5, i32(columns.length)]);
  const footer = struct([1, i32(1)], [2, list([root, ...schema])], [3, i64(total)], [4, list(row_groups)]);
  return Uint8Array.from([...out, ...footer.bytes, ...little(footer.bytes.length, 4), ...utf8("PAR1")]);
}

/** Definition levels of an optional column, one run-length group each, then the values that are there. */
function pageOf({ type, values, optional }: ParquetColumn): number[] {
  const levels = optional ? values.flatMap((value) => [2, value === null ? 0 : 1]) : [];
  const data = values.filter((value) => value !== null).flatMap((value) => {
    if (type === "string") return [...little(utf8(value as string).length, 4), ...utf8(value as string)];
    const bytes = new DataView(new ArrayBuffer(8));
    if (type === "int64") bytes.setBigInt64(0, value as bigint, true);
    else bytes.setFloat64(0, value as number, true);
    return [...new Uint8Array(bytes.buffer)];
  });
  return [...(optional ? little(levels.length, 4) : []), ...levels, ...data];
}

/** Literals of at most 60 bytes. */
function snappy(bytes: readonly number[]): number[] {
  const out = varint(BigInt(bytes.length));
  for (let at = 0; at < bytes.length; at += 60) {
    const part = bytes.slice(at, at + 60);
    out.push((part.length - 1) << 2, ...part);
  }
  return out;
}

// ---- Thrift's compact protocol ----------------------------------------------------------------------------------

interface Value {
  readonly type: number;
  readonly bytes: readonly number[];
}

const utf8 = (text: string): number[] => [...new TextEncoder().encode(text)];
const little = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => (value >>> (8 * i)) & 0xff);

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80n; value >>= 7n) bytes.push(Number(value & 0x7fn) | 0x80);
  return [...bytes, Number(value)];
}

const zigzag = (value: number): number[] => varint(value < 0 ? -2n * BigInt(value) - 1n : 2n * BigInt(value));
const i32 = (value: number): Value => ({ type: 5, bytes: zigzag(value) });
const i64 = (value: number): Value => ({ type: 6, bytes: zigzag(value) });
const binary = (text: string): Value => ({ type: 8, bytes: [...varint(BigInt(utf8(text).length)), ...utf8(text)] });

function list(items: readonly Value[]): Value {
  const type = items[0]!.type,
    head = items.length < 15 ? [(items.length << 4) | type] : [0xf0 | type, ...varint(BigInt(items.length))];
  return { type: 9, bytes: [...head, ...items.flatMap(({ bytes }) => bytes)] };
}

function struct(...fields: readonly (readonly [number, Value])[]): Value {
  let last = 0;
  const bytes = fields.flatMap(([id, { type, bytes }]) => {
    const head = ((id - last) << 4) | type;
    last = id;
    return [head, ...bytes];
  });
  return { type: 12, bytes: [...bytes, 0] };
}
