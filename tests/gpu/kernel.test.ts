import { assert, assertEquals, assertThrows, test } from "../harness.ts";
import { type Access, ceilDiv, defineKernel, dispatchSizeOf, perThread, type Scalar } from "../../src/gpu/kernel.ts";
import { preprocess } from "../../src/gpu/preprocess.ts";

const lines = (text: string): string[] => text.split("\n").map((line) => line.trim()).filter((line) => line !== "");

test("preprocess() puts constants in place of their names", () => {
  assertEquals(preprocess("x", "a ${N} b ${TYPE}${N}", { N: 64, TYPE: "vec4f" }), "a 64 b vec4f64");
  assertEquals(preprocess("x", "no names, $N, {N}", {}), "no names, $N, {N}");
});

test("preprocess() keeps one branch of #if, #elif and #else, nested", () => {
  const code = "top\n#if ${A}\na\n#if ${B}\nab\n#else\na-\n#endif\n#elif ${B}\n-b\n#else\n--\n#endif\nbottom";
  const expected = [[true, true, ["a", "ab"]], [true, false, ["a", "a-"]], [false, true, ["-b"]], [false, false, [
    "--",
  ]]] as const;
  for (const [A, B, kept] of expected) {
    assertEquals(lines(preprocess("x", code, { A, B })), ["top", ...kept, "bottom"], `A ${A}, B ${B}`);
  }
});

test("preprocess() repeats what is between #for and #end, nested, with numbers and constants as bounds", () => {
  const code = "#for i in N\n  let a${i} = b[${i}];\n  #for j in 1..M\n  c${i}_${j}(${TYPE});\n  #end\n#end\nlast";
  assertEquals(preprocess("x", code, { N: 2, M: 3, TYPE: "f32" }).split("\n").map((line) => line.trim()), [
    "let a0 = b[0];",
    "c0_1(f32);",
    "c0_2(f32);",
    "let a1 = b[1];",
    "c1_1(f32);",
    "c1_2(f32);",
    "last",
  ]);
  assertEquals(preprocess("x", "#for i in 2..2\nnever\n#end\nlast", {}), "last");
  const chosen = "#if ${A}\n#for i in 2\na${i}\n#end\n#else\nb\n#endif";
  assertEquals(preprocess("x", chosen, { A: false }).trim(), "b");
  for (
    const [bad, reason] of [["#for i in N\n#end", "needs the number N"], ["#for i in 3\nx", "has no #end"]] as const
  ) {
    const error = assertThrows(() => preprocess("matmul", bad, { N: "many" }), reason);
    assert(error instanceof RangeError && error.message.includes('"matmul"'), error.message);
  }
});

test("preprocess() refuses a name without value, and says which there are", () => {
  const error = assertThrows(() => preprocess("matmul", "${TILE}", { WORKGROUP: 64, ADD: false }), "");
  assertEquals(error.message, 'Cannot resolve shader "matmul": ${TILE} has no value, expected one of [WORKGROUP, ADD]');
});

const CODE = `
struct Params { n: u32, value: f32 }
@group(0) @binding(0) var<storage, read> a: array<f32>;
// @group(0) @binding(7) var<storage, read> comment: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;
const width = \${WIDTH}u;
`;
const BINDINGS = { a: "read", b: "read", out: "read_write" } as const, PARAMS = { n: "u32", value: "f32" } as const;

const define = (bindings: Readonly<Record<string, Access>>, params: Readonly<Record<string, Scalar>>, code = CODE) =>
  defineKernel({ name: "sub", code, bindings, params, constants: { WIDTH: 4 }, groups: () => 1 });

test("defineKernel() holds the host's account against the shader's", () => {
  define(BINDINGS, PARAMS);
  const swapped = assertThrows(() => define({ b: "read", a: "read", out: "read_write" }, PARAMS), "on bindings");
  assertEquals(
    swapped.message,
    'Kernel "sub" disagrees with its shader on bindings: shader has [0 read a; 1 read b; 2 read_write out], ' +
      "host has [0 read b; 1 read a; 2 read_write out]",
  );
  assertThrows(() => define({ ...BINDINGS, a: "read_write" }, PARAMS), "on bindings");
  assertThrows(() => define({ a: "read", b: "read" }, PARAMS), "on bindings");
  assertThrows(() => define({ ...BINDINGS, more: "read" }, PARAMS), "on bindings");
  const reordered = assertThrows(() => define(BINDINGS, { value: "f32", n: "u32" }), "on Params");
  assertEquals(
    reordered.message,
    'Kernel "sub" disagrees with its shader on Params: shader has [n: u32; value: f32], host has [value: f32; n: u32]',
  );
  assertThrows(() => define(BINDINGS, { n: "i32", value: "f32" }), "on Params");
  assertThrows(() => define(BINDINGS, { n: "u32" }), "on Params");
  assertThrows(() => define(BINDINGS, PARAMS, CODE.replace("@binding(1)", "@binding(3)")), "on bindings");
});

test("with() makes one kernel for each combination of constants", () => {
  const kernel = define(BINDINGS, PARAMS);
  const wide = kernel.with({ WIDTH: 8 });
  assert(wide !== kernel && wide.source.includes("8u") && kernel.source.includes("4u"), "the constant is in the text");
  assert(
    kernel.with({ WIDTH: 8 }) === wide && wide.with({ WIDTH: 4 }) === kernel,
    "the same constants, the same object",
  );
});

test("a kernel checks each of its specialisations when it is made", () => {
  const code = "struct Params { n: u32 }\n#if ${ADD}\n@group(0) @binding(0) var<storage, read> x: " +
    "array<f32>;\n#endif\n@group(0) @binding(${LAST}) var<storage, read_write> out: array<f32>;";
  const kernel = defineKernel({
    name: "maybe",
    code,
    bindings: { out: "read_write" },
    params: { n: "u32" },
    constants: { ADD: false, LAST: 0 },
    groups: () => 1,
  });
  assertThrows(() => kernel.with({ ADD: true, LAST: 1 }), 'Kernel "maybe" disagrees');
});

test("gridOf() spreads a count over two dimensions past 65 535 and wastes less than a row", () => {
  const dispatchSize = (groups: number) =>
    dispatchSizeOf({ name: "g", code: "", bindings: {}, params: {}, constants: {}, groups: () => groups }, {});
  assertEquals([0, 1, 65535, 65536, 131071, 10_000_000].map(dispatchSize), [
    [1, 1, 1],
    [1, 1, 1],
    [65535, 1, 1],
    [32768, 2, 1],
    [43691, 3, 1],
    [65360, 153, 1],
  ]);
  for (const groups of [1, 65535, 65536, 65537, 1e6, 2 ** 31]) {
    const [x, y, z] = dispatchSize(groups);
    assert(
      x * y >= groups && x * (y - 1) < groups && x <= 65535 && y <= 65535 && z === 1,
      `${groups} groups in ${x} x ${y}`,
    );
  }
  assertEquals(perThread({ n: 129 }, { WORKGROUP: 64 }), 3);
  assertEquals([ceilDiv(0, 8), ceilDiv(8, 8), ceilDiv(9, 8)], [0, 1, 2]);
});
