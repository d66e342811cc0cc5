import { assert, assertEquals, assertThrows, test } from "../harness.ts";
import { ceilDiv, defineKernel, dispatchSizeOf, perThread } from "../../src/gpu/kernel.ts";
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

test("preprocess() computes with the numbers of loops and constants", () => {
  const code = "#for i in 2\n#for j in N\na[${4 * i + j}] ${i * N + j - 1} ${j / 2}${j % 2}\n#end\n#end\n${N * 2 + 1}";
  assertEquals(preprocess("x", code, { N: 3 }), "a[0] -1 00\na[1] 0 01\na[2] 1 10\na[4] 2 00\na[5] 3 01\na[6] 4 10\n7");
});

test("preprocess() refuses a name without value, and says which there are", () => {
  const error = assertThrows(() => preprocess("matmul", "${TILE}", { WORKGROUP: 64, ADD: false }), "");
  assertEquals(error.message, 'Cannot resolve shader "matmul": ${TILE} has no value, expected one of [WORKGROUP, ADD]');
});

const CODE = `@compute @workgroup_size(\${WIDTH}) fn main() { store_out(params.n, load_a(0u) * load4_b(1u)); }`;

const subKernel = defineKernel({
  name: "sub",
  code: CODE,
  reads: { a: "numbers", b: "numbers", clip: "array<vec2f>?" },
  writes: { out: "numbers" },
  params: { n: "u32", value: "f32" },
  constants: { WIDTH: 4 },
  groups: () => 1,
});
const F32 = { a: "f32", b: "f32", out: "f32" } as const;

/** WGSL without spaces: a page's build leaves out those of shader files that nobody needs. */
const tight = (text: string): string => text.replace(/\s/g, "");

test("declarations are made from the definition and the tensors: order, types, parameters, accessors in use", () => {
  const { source, bindings, params } = subKernel.bind({ ...F32, clip: "f32" });
  assertEquals(bindings, { a: "read", b: "read", clip: "read", out: "read_write" });
  assertEquals(params, { n: "u32", value: "f32" });
  const declared = lines(source).filter((line) => /^(@group|struct|fn|alias)/.test(line)).map(tight);
  assertEquals(
    declared,
    [
      "alias Vector = vec4f;",
      "@group(0) @binding(0) var<storage, read> a: array<vec4f>;",
      "fn load4_a(i: u32) -> vec4f { return a[i]; }",
      "fn load_a(i: u32) -> Vector { return load4_a(i); }",
      "@group(0) @binding(1) var<storage, read> b: array<vec4f>;",
      "fn load4_b(i: u32) -> vec4f { return b[i]; }",
      "@group(0) @binding(2) var<storage, read> clip: array<vec2f>;",
      "@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;",
      "fn store4_out(i: u32, new_value: vec4f) { out[i] = new_value; }",
      "fn store_out(i: u32, new_value: Vector) { store4_out(i, new_value); }",
      "struct Params { n: u32, value: f32 }",
      "@group(1) @binding(0) var<uniform> params: Params;",
    ].map(tight),
  );
  const { bindings: without, constants } = subKernel.bind(F32);
  assertEquals([without, constants["HAS_CLIP"], constants["A_PACKED"]], [
    { a: "read", b: "read", out: "read_write" },
    false,
    false,
  ]);
});

test("a format changes the declaration of its tensor alone; one with scales brings their start as a parameter", () => {
  const { source, params, constants } = subKernel.bind({ ...F32, b: "nf4" }), text = tight(source);
  assertEquals(params, { n: "u32", value: "f32", b_scales: "u32" });
  assert(text.includes("var<storage,read>b:array<u32>;") && text.includes("params.b_scales"), source);
  assert(text.includes("var<storage,read>a:array<vec4f>;") && constants["B_PACKED"] === true, source);
});

test("bind() refuses what a kernel cannot do", () => {
  const one = subKernel.with({ WIDTH: 1 });
  const refused = [
    [() => subKernel.bind({ a: "f32", out: "f32" }), 'Cannot launch kernel "sub" without its tensor b. Give it one'],
    [
      () => subKernel.bind({ ...F32, clip: "bf16" }),
      'Cannot bind clip of kernel "sub" to bf16: expected f32 or u32, as array<vec2f>',
    ],
    [
      () => subKernel.bind({ ...F32, out: "nf4" }),
      'Cannot store out of kernel "sub" as nf4: expected f32 or bf16',
    ],
    [() => subKernel.bind({ ...F32, a: "u32" }), 'Cannot bind a of kernel "sub" to u32: expected numbers'],
    [
      () => one.bind({ ...F32, out: "bf16" }),
      'Cannot store out of kernel "sub" as bf16: it writes single numbers, of which several share a word. Store it ' +
      "as f32, or make its rows multiples of 4",
    ],
  ] as const;
  for (const [act, message] of refused) assertEquals(assertThrows(act, "").message, message);
  const declaring = 'Kernel "sub" declares a binding in its shader';
  assertThrows(
    () =>
      defineKernel({
        name: "sub",
        code: "@group(0) @binding(0) var<storage> a: array<f32>;",
        reads: {},
        writes: {},
        params: {},
        groups: () => 1,
      }),
    declaring,
  );
});

test("with() and bind() make one kernel for each combination of constants and types", () => {
  const wide = subKernel.with({ WIDTH: 8 });
  assert(wide !== subKernel && wide.bind(F32).source.includes("size(8)"), "the constant is in the text");
  assert(subKernel.with({ WIDTH: 8 }) === wide && wide.with({ WIDTH: 4 }) === subKernel, "the same object");
  assert(subKernel.bind(F32) === subKernel.bind({ ...F32 }), "the same bound kernel");
});

test("String() of a bound kernel is its source with line numbers", () => {
  const kernel = subKernel.bind(F32), printed = String(kernel).split("\n");
  assertEquals(printed.length, kernel.source.split("\n").length);
  assertEquals(printed[0], ` 1  ${kernel.source.split("\n")[0]}`);
});

test("dispatchSizeOf() spreads a count over two dimensions past 65 535 and wastes less than a row", () => {
  const dispatchSize = (groups: number) => dispatchSizeOf({ constants: {}, groups: () => groups }, {});
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
