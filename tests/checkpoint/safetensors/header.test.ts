import { assert, assertEquals, test } from "../../harness.ts";
import { type Bytes, describeFile, entry, f32, fileOf, openOrMessage } from "./files.ts";

// The rules of the format (huggingface/safetensors, README.md "Format"). Cases marked "reference accepts" are those
// where its own reader is more lenient than they are.

const raw = (text: string, dataBytes: number): Bytes => fileOf(text, dataBytes);
const one = (fields: string): Bytes => raw(`{"a":{${fields}}}`, 4);
const withBytes = (...parts: (string | number[])[]): Bytes =>
  Uint8Array.from(parts.flatMap((part) => typeof part === "string" ? [...new TextEncoder().encode(part)] : part));
const good = fileOf({ a: f32(0, 16) }, 16);

const REFUSED: readonly (readonly [name: string, file: Bytes, message: string])[] = [
  // the length
  ["no bytes", new Uint8Array(0), "expected at least 8 bytes, got 0"],
  ["seven bytes", good.slice(0, 7), "expected at least 8 bytes, got 7"],
  ["a length and no header", good.slice(0, 8), "its header claims 55 bytes, the file has 8"],
  ["a header cut short", good.slice(0, 30), "its header claims 55 bytes, the file has 30"],
  ["a header one byte longer than the file", fileOf("{}", 0, 3), "its header claims 3 bytes, the file has 10"],
  [
    "a header of 100 000 001 bytes",
    fileOf("{}", 0, 100_000_001),
    "its header claims 100000001 bytes, at most 100000000 are allowed",
  ],
  ["a header of 2^63 bytes", fileOf("{}", 0, 1n << 63n), "at most 100000000 are allowed"],
  ["a header of 2^64 - 1 bytes", fileOf("{}", 0, (1n << 64n) - 1n), "at most 100000000 are allowed"],
  [
    "the text of a Git LFS pointer",
    withBytes("version https://git-lfs.github.com/spec/v1\n"),
    "at most 100000000 are allowed",
  ],
  // the text
  ["an empty header", fileOf("", 0), 'its header does not begin with "{"'],
  ["a list as its header", fileOf([], 0), 'its header does not begin with "{"'],
  ["null as its header", fileOf("null", 0), 'its header does not begin with "{"'],
  [
    "a space before the header (reference accepts)",
    raw(` ${JSON.stringify({ a: f32(0, 4) })}`, 4),
    'its header does not begin with "{"',
  ],
  ["a byte order mark", raw("\ufeff{}", 0), 'its header does not begin with "{"'],
  ["a header that is no UTF-8", fileOf(withBytes('{"', [0xff, 0xfe], '":{}}'), 0), "its JSON is not UTF-8"],
  ["an overlong encoding of a slash", fileOf(withBytes('{"', [0xc0, 0xaf], '":{}}'), 0), "its JSON is not UTF-8"],
  ["a surrogate in UTF-8", fileOf(withBytes('{"', [0xed, 0xa0, 0x80], '":{}}'), 0), "its JSON is not UTF-8"],
  ["a header that ends inside a character", fileOf(withBytes('{"', [0xe6, 0x97]), 0), "its JSON is not UTF-8"],
  ["zeros as padding", fileOf(withBytes("{}", [0, 0]), 0), "its header is followed by something other than spaces"],
  ["line breaks as padding", raw("{}\n", 0), "its header is followed by something other than spaces"],
  ["a second object behind the first", raw("{}{}", 0), "its header is followed by something other than spaces"],
  ["an object without an end", raw("{", 0), "a name in quotes is expected"],
  ["a comma before the end", raw('{"__metadata__":{},}', 0), "a name in quotes is expected"],
  ["a comment", raw("{/**/}", 0), "a name in quotes is expected"],
  ["a name without quotes", raw("{a:{}}", 0), "a name in quotes is expected"],
  ["no colon", raw('{"a"{}}', 0), '":" is expected'],
  ["no comma", raw('{"__metadata__":{}"b":{}}', 0), '"," or "}" is expected'],
  ["a list without an end", raw('{"a":[1', 0), '"," or "]" is expected'],
  ["a value that is none", raw('{"a":NaN}', 0), "a value is expected"],
  ["a text without an end", raw('{"a', 0), "a text has no end"],
  ["a text that ends in a backslash", raw('{"a\\', 0), "a text has an unknown escape"],
  ["a line break inside a name", raw('{"a\n":{}}', 0), "or a control character"],
  ["an unknown escape", raw('{"\\x61":{}}', 0), "a text has an unknown escape"],
  ["an escape of three digits", raw('{"\\u061":{}}', 0), "a text has an unknown escape"],
  ["a lone high surrogate", raw('{"\\ud83d":{}}', 0), "a text has half a surrogate pair"],
  ["surrogates the wrong way round", raw('{"\\ude00\\ud83d":{}}', 0), "a text has half a surrogate pair"],
  ["more levels than the format has", raw(`{"a":{"shape":[[1]]}}`, 0), "it nests too deep"],
  ["a million levels", raw(`{"a":${"[".repeat(1_000_000)}`, 0), "it nests too deep"],
  // names that stand there twice
  [
    "a tensor twice at one place (reference accepts)",
    raw(`{"a":${JSON.stringify(f32(0, 4))},"a":${JSON.stringify(f32(0, 4))}}`, 4),
    'the name "a" stands there twice',
  ],
  [
    "a tensor twice, of other types (reference accepts)",
    raw(`{"a":${JSON.stringify(entry("F16", [2], 0, 4))},"a":${JSON.stringify(entry("BF16", [2], 0, 4))}}`, 4),
    'the name "a" stands there twice',
  ],
  [
    "a tensor twice, once escaped (reference accepts)",
    raw(`{"a":${JSON.stringify(f32(0, 4))},"\\u0061":${JSON.stringify(f32(0, 4))}}`, 4),
    'the name "a" stands there twice',
  ],
  [
    "a tensor twice, at two places",
    raw(`{"a":${JSON.stringify(f32(0, 4))},"a":${JSON.stringify(f32(4, 8))}}`, 8),
    'the name "a" stands there twice',
  ],
  ["its metadata twice", raw('{"__metadata__":{},"__metadata__":{}}', 0), 'the name "__metadata__" stands there twice'],
  ["a field of the metadata twice", raw('{"__metadata__":{"x":"1","x":"1"}}', 0), 'the name "x" stands there twice'],
  [
    "a field of a tensor twice",
    one('"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]'),
    'the name "dtype" stands there twice',
  ],
  [
    "__proto__ twice",
    raw('{"__metadata__":{"__proto__":"1","__proto__":"1"}}', 0),
    'the name "__proto__" stands there twice',
  ],
  // metadata and entries
  ["metadata that is a list", fileOf({ __metadata__: [] }, 0), "its __metadata__ is not an object of texts"],
  ["metadata that is null", fileOf({ __metadata__: null }, 0), "its __metadata__ is not an object of texts"],
  ["metadata with a number", fileOf({ __metadata__: { step: 1 } }, 0), '"step" in its __metadata__ is not a text'],
  ["a tensor called __metadata__", fileOf({ __metadata__: f32(0, 4) }, 4), '"shape" in its __metadata__ is not a text'],
  ["an entry that is null", fileOf({ a: null }, 0), 'tensor "a" is not described by an object'],
  ["an entry that is a list", fileOf({ a: [] }, 0), 'tensor "a" is not described by an object'],
  ["an entry without a dtype", one('"shape":[1],"data_offsets":[0,4]'), 'tensor "a" has no "dtype"'],
  ["an entry without a shape", one('"dtype":"F32","data_offsets":[0,4]'), 'tensor "a" has no "shape"'],
  ["an entry without offsets", one('"dtype":"F32","shape":[1]'), 'tensor "a" has no "data_offsets"'],
  [
    "an entry with one field more (reference accepts)",
    fileOf({ a: { ...f32(0, 4), strides: [1] } }, 4),
    'tensor "a" has the unknown field "strides"',
  ],
  [
    "an entry with a field called __proto__",
    raw('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"__proto__":{}}}', 4),
    'tensor "a" has the unknown field "__proto__"',
  ],
  [
    "a dtype that is a number",
    fileOf({ a: { ...f32(0, 4), dtype: 32 } }, 4),
    'tensor "a" has a dtype that is not a text',
  ],
  ["an unknown dtype", fileOf({ a: entry("F31", [1], 0, 4) }, 4), 'tensor "a" has the unknown dtype "F31"'],
  ["a dtype in small letters", fileOf({ a: entry("f32", [1], 0, 4) }, 4), 'tensor "a" has the unknown dtype "f32"'],
  [
    "a dtype that every object has",
    fileOf({ a: entry("constructor", [1], 0, 4) }, 4),
    'tensor "a" has the unknown dtype "constructor"',
  ],
  // numbers
  [
    "the dimension 1.0",
    one('"dtype":"F32","shape":[1.0],"data_offsets":[0,4]'),
    "has a shape that is not a list of whole numbers up to 2^53 - 1",
  ],
  [
    "the dimension 1e0",
    one('"dtype":"F32","shape":[1e0],"data_offsets":[0,4]'),
    "has a shape that is not a list of whole numbers",
  ],
  [
    "the dimension -0",
    one('"dtype":"F32","shape":[1,-0],"data_offsets":[0,0]'),
    "has a shape that is not a list of whole numbers",
  ],
  [
    "a negative dimension",
    one('"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]'),
    "has a shape that is not a list of whole numbers",
  ],
  ["a dimension with a leading zero", one('"dtype":"F32","shape":[01],"data_offsets":[0,4]'), '"," or "]" is expected'],
  ["a dimension with a plus", one('"dtype":"F32","shape":[+1],"data_offsets":[0,4]'), "a value is expected"],
  ["a dimension in hexadecimal", one('"dtype":"F32","shape":[0x1],"data_offsets":[0,4]'), '"," or "]" is expected'],
  [
    "a dimension that is a text",
    one('"dtype":"F32","shape":["1"],"data_offsets":[0,4]'),
    "has a shape that is not a list of whole numbers",
  ],
  [
    "a shape that is a number",
    one('"dtype":"F32","shape":1,"data_offsets":[0,4]'),
    "has a shape that is not a list of whole numbers",
  ],
  [
    "the dimension 2^53",
    one('"dtype":"F32","shape":[0,9007199254740992],"data_offsets":[0,0]'),
    "has a shape that is not a list of whole numbers",
  ],
  [
    "the dimension 2^53 + 1, which a double has not",
    one('"dtype":"F32","shape":[0,9007199254740993],"data_offsets":[0,0]'),
    "has a shape that is not a list of whole numbers",
  ],
  [
    "the dimension 2^64 - 1 (reference accepts)",
    one('"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]'),
    "has a shape that is not a list of whole numbers",
  ],
  [
    "a dimension of a thousand digits",
    one(`"dtype":"F32","shape":[0,${"9".repeat(1000)}],"data_offsets":[0,0]`),
    "has a shape that is not a list of whole numbers",
  ],
  [
    "a product that wraps around to its bytes",
    one('"dtype":"F32","shape":[4294967297,4294967297],"data_offsets":[0,4]'),
    "has more elements than any file",
  ],
  [
    "a product too large before it is zero",
    one('"dtype":"F32","shape":[9007199254740991,2,0],"data_offsets":[0,0]'),
    "has more elements than any file",
  ],
  [
    "more bits than 2^53",
    one('"dtype":"F32","shape":[9007199254740991],"data_offsets":[0,4]'),
    "has more bytes than any file",
  ],
  ["half a byte", fileOf({ a: entry("F4", [3], 0, 2) }, 2), 'tensor "a" is impossible: F4 (3) ends inside a byte'],
  [
    "one offset",
    one('"dtype":"F32","shape":[1],"data_offsets":[0]'),
    "has data_offsets that are not two whole numbers up to 2^53 - 1",
  ],
  [
    "three offsets",
    one('"dtype":"F32","shape":[1],"data_offsets":[0,4,8]'),
    "has data_offsets that are not two whole numbers",
  ],
  [
    "a negative offset",
    one('"dtype":"F32","shape":[1],"data_offsets":[-4,0]'),
    "has data_offsets that are not two whole numbers",
  ],
  [
    "an offset of 4.0",
    one('"dtype":"F32","shape":[1],"data_offsets":[0,4.0]'),
    "has data_offsets that are not two whole numbers",
  ],
  // places
  [
    "an end before the start",
    fileOf({ a: f32(4, 0, [1]) }, 4),
    'tensor "a" of F32 (1) needs 4 bytes, its data_offsets are 4 and 0',
  ],
  [
    "a shape smaller than its bytes",
    fileOf({ a: f32(0, 8, [1]) }, 8),
    'tensor "a" of F32 (1) needs 4 bytes, its data_offsets are 0 and 8',
  ],
  ["a shape larger than its bytes", fileOf({ a: f32(0, 8, [3]) }, 8), 'tensor "a" of F32 (3) needs 12 bytes'],
  ["bytes for an empty tensor", fileOf({ a: f32(0, 4, [0]) }, 4), 'tensor "a" of F32 (0) needs 0 bytes'],
  [
    "overlapping tensors",
    fileOf({ a: f32(0, 8), b: f32(4, 12) }, 12),
    'tensor "b" begins at byte 4 of the data, expected 8',
  ],
  [
    "two tensors in one place",
    fileOf({ a: f32(0, 4), b: f32(0, 4) }, 4),
    'tensor "b" begins at byte 0 of the data, expected 4',
  ],
  [
    "a tensor inside another",
    fileOf({ a: f32(0, 12), b: f32(4, 8) }, 12),
    'tensor "b" begins at byte 4 of the data, expected 12',
  ],
  [
    "an empty tensor inside another",
    fileOf({ a: f32(0, 12), b: f32(4, 4) }, 12),
    'tensor "b" begins at byte 4 of the data, expected 12',
  ],
  [
    "an empty tensor past the end",
    fileOf({ a: f32(0, 4), b: f32(8, 8) }, 4),
    'tensor "b" begins at byte 8 of the data, expected 4',
  ],
  [
    "a hole before the first tensor",
    fileOf({ a: f32(4, 8) }, 8),
    'tensor "a" begins at byte 4 of the data, expected 0',
  ],
  [
    "a hole between tensors",
    fileOf({ a: f32(0, 4), b: f32(8, 12) }, 12),
    'tensor "b" begins at byte 8 of the data, expected 4',
  ],
  ["data past the end", fileOf({ a: f32(0, 8) }, 4), "its tensors end at byte 8 of the data, expected 4"],
  ["data cut short", good.slice(0, -1), "its tensors end at byte 16 of the data, expected 15"],
  [
    "a byte after the last tensor",
    Uint8Array.from([...good, 0]),
    "its tensors end at byte 16 of the data, expected 17",
  ],
  ["data and no tensor", fileOf({}, 3), "its tensors end at byte 0 of the data, expected 3"],
  [
    "offsets near 2^53",
    one('"dtype":"U8","shape":[1],"data_offsets":[9007199254740990,9007199254740991]'),
    'tensor "a" begins at byte 9007199254740990 of the data, expected 0',
  ],
];

for (const [name, file, message] of REFUSED) {
  test(`a safetensors file with ${name} is refused`, async () => {
    const result = await openOrMessage(file);
    assert(
      typeof result === "string" && result.includes(message),
      `expected "${message}", got ${typeof result === "string" ? result : "its tensors"}`,
    );
  });
}

test("a hostile name cannot break or flood the message", async () => {
  const message = await openOrMessage(fileOf({ [`\n\u0007${"x".repeat(10_000)}`]: null }, 0));
  assert(
    typeof message === "string" && message.length < 300 && !message.includes("\n") && !message.includes("\u0007"),
    "the message is not one short line",
  );
});

const ACCEPTED: readonly (readonly [name: string, file: Bytes, tensors: readonly string[]])[] = [
  ["no tensor", fileOf({}, 0), []],
  ["metadata only", fileOf({ __metadata__: { format: "pt" } }, 0), []],
  ["spaces behind the header", raw(`${JSON.stringify({ a: f32(0, 4) })}     `, 4), ["a F32 (1) 0 4"]],
  [
    "spaces, tabs and line breaks inside the header",
    raw('{ "a"\t:\r\n{ "dtype" : "F32", "shape" : [ 1 ] ,"data_offsets":[ 0 , 4 ] } }', 4),
    ["a F32 (1) 0 4"],
  ],
  ["tensors in another order than their data", fileOf({ b: f32(4, 12), a: f32(0, 4) }, 12), [
    "a F32 (1) 0 4",
    "b F32 (2) 4 12",
  ]],
  ["a tensor without dimensions", fileOf({ a: f32(0, 4, []) }, 4), ["a F32 () 0 4"]],
  [
    "empty tensors before, between and behind others",
    fileOf({ d: f32(8, 8), c: f32(4, 8), b: f32(4, 4, [3, 0]), a: f32(0, 4), _: f32(0, 0) }, 8),
    ["_ F32 (0) 0 0", "a F32 (1) 0 4", "b F32 (3,0) 4 4", "c F32 (1) 4 8", "d F32 (0) 8 8"],
  ],
  [
    "an empty tensor with a dimension of 2^53 - 1",
    fileOf({ a: f32(0, 0, [0, Number.MAX_SAFE_INTEGER]), b: f32(0, 0, [Number.MAX_SAFE_INTEGER, 0]) }, 0),
    ["a F32 (0,9007199254740991) 0 0", "b F32 (9007199254740991,0) 0 0"],
  ],
  ["F32 at an odd place", fileOf({ a: entry("U8", [1], 0, 1), b: f32(1, 5) }, 5), ["a U8 (1) 0 1", "b F32 (1) 1 5"]],
  [
    "every type of the format",
    fileOf(
      {
        ...{
          a: entry("F4", [2], 0, 1),
          b: entry("F6_E2M3", [4], 1, 4),
          c: entry("F6_E3M2", [4], 4, 7),
          d: entry("F8_E4M3", [1], 7, 8),
          e: entry("F8_E5M2", [1], 8, 9),
          f: entry("F8_E8M0", [1], 9, 10),
        },
        ...{
          g: entry("BOOL", [1], 10, 11),
          h: entry("I16", [1], 11, 13),
          i: entry("C64", [1], 13, 21),
          j: entry("U64", [1], 21, 29),
          k: entry("BF16", [1], 29, 31),
        },
      },
      31,
    ),
    [
      "a F4 (2) 0 1",
      "b F6_E2M3 (4) 1 4",
      "c F6_E3M2 (4) 4 7",
      "d F8_E4M3 (1) 7 8",
      "e F8_E5M2 (1) 8 9",
      "f F8_E8M0 (1) 9 10",
      "g BOOL (1) 10 11",
      "h I16 (1) 11 13",
      "i C64 (1) 13 21",
      "j U64 (1) 21 29",
      "k BF16 (1) 29 31",
    ],
  ],
  [
    "names that objects have",
    raw(
      `{"__proto__":${JSON.stringify(f32(0, 4))},"constructor":${JSON.stringify(f32(4, 8))},"":${
        JSON.stringify(f32(8, 12))
      },"7":${JSON.stringify(f32(12, 16))}}`,
      16,
    ),
    ["__proto__ F32 (1) 0 4", "constructor F32 (1) 4 8", " F32 (1) 8 12", "7 F32 (1) 12 16"],
  ],
  ["escapes in a name", raw(`{"\\ud83d\\ude00\\n\\u0061\\/日\\u0000":${JSON.stringify(f32(0, 4))}}`, 4), [
    "😀\na/日\0 F32 (1) 0 4",
  ]],
  ["a thousand dimensions", fileOf({ a: f32(0, 4, Array(1000).fill(1)) }, 4), [`a F32 (${Array(1000).fill(1)}) 0 4`]],
];

for (const [name, file, expected] of ACCEPTED) {
  test(`a safetensors file with ${name} is read`, async () => {
    const result = await openOrMessage(file);
    assert(typeof result !== "string", `refused: ${result}`);
    const dataStart = 8 + new DataView(file.buffer).getUint32(0, true);
    assertEquals(
      [...result.tensors.values()].map(({ name, dtype, shape, start, end }) =>
        `${name} ${dtype} (${shape}) ${start - dataStart} ${end - dataStart}`
      ),
      expected,
    );
    for (const entry of result.tensors.values()) {
      assertEquals(await result.read(entry), file.slice(entry.start, entry.end), entry.name);
    }
  });
}

// No two dimensions, and no dimension and its neighbours by one bit, have the same product, so that no flip in a shape
// can go unseen.
const SMALL = fileOf({
  __metadata__: { format: "pt" },
  "w.weight": f32(0, 24, [2, 3]),
  "w.bias": entry("F16", [3], 24, 30),
  scale: entry("U8", [], 30, 31),
}, 31);

test("a file with any number of bytes cut off its end is refused", async () => {
  for (let length = 0; length < SMALL.length; length++) {
    assert(
      typeof await openOrMessage(SMALL.slice(0, length)) === "string",
      `${length} of ${SMALL.length} bytes were accepted`,
    );
  }
});

test("a file with any one byte left out is refused", async () => {
  const text = new TextDecoder("latin1").decode(SMALL);
  for (let at = 0; at < SMALL.length; at++) {
    const result = await openOrMessage(Uint8Array.from([...SMALL.slice(0, at), ...SMALL.slice(at + 1)]));
    assert(typeof result === "string", `without byte ${at} (${text[at]}) it was accepted`);
  }
});

test(
  "a file with any one bit flipped is refused, or has the same tensors but for letters of names and texts, or " +
    "other data",
  async () => {
    const whole = await openOrMessage(SMALL);
    assert(typeof whole !== "string", "the file itself was refused");
    const { tensors } = describeFile(whole),
      text = new TextDecoder("latin1").decode(SMALL),
      dataStart = tensors[0]!.start;
    const isLetter = (at: number): boolean =>
      ["format", "pt", "w.weight", "w.bias", "scale"].some((name) =>
        text.indexOf(`"${name}"`) < at && at <= text.indexOf(`"${name}"`) + name.length
      );
    let accepted = 0, refused = 0;
    for (let bit = 0; bit < 8 * SMALL.length; bit++) {
      const at = bit >> 3, flipped = SMALL.slice();
      flipped[at]! ^= 1 << (bit & 7);
      const result = await openOrMessage(flipped);
      if (typeof result === "string") {
        assert(at < dataStart, `a bit of the data at ${at} was refused: ${result}`);
        refused++;
        continue;
      }
      accepted++;
      const found = describeFile(result);
      const nameless = ({ dtype, shape, start, end }: (typeof tensors)[number]) => ({ dtype, shape, start, end });
      assertEquals(found.tensors.map(nameless), tensors.map(nameless), `bit ${bit}`);
      if (isLetter(at)) continue;
      assert(at >= dataStart, `bit ${bit} of the header was accepted: ${text.slice(at - 5, at + 5)}`);
      assertEquals(found, describeFile(whole), `bit ${bit}`);
    }
    assert(accepted > 8 * 31 && refused > 8 * 60, `${accepted} were accepted, ${refused} refused`);
  },
);
