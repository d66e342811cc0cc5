// The assertions themselves: each must fail when it should, and say where.

import { assert, assertClose, assertEquals, assertRejects, assertThrows, random, readShared, test } from "./harness.ts";

test("assert() fails with its message on anything falsy", () => {
  assert(1, "never");
  for (const falsy of [false, 0, "", null, undefined, NaN]) {
    assertThrows(() => assert(falsy, "the message"), "the message");
  }
});

const EQUAL: readonly [unknown, unknown][] = [
  [NaN, NaN],
  [{ a: [1, { b: "x" }] }, { a: [1, { b: "x" }] }],
  [new Float32Array([NaN, -0]), new Float32Array([NaN, -0])],
  [new Map([["a", [1]]]), new Map([["a", [1]]])],
  [new Uint8Array([9, 1, 2]).subarray(1), new Uint8Array([1, 2])],
  [undefined, undefined],
];
const DIFFERENT: readonly [unknown, unknown, string][] = [
  [0, -0, "got 0, want -0"],
  [1, "1", 'got 1, want "1"'],
  [null, undefined, "got null, want undefined"],
  [[1, 2], [1, 3], "at [1]: got 2, want 3"],
  [[1, 2], [1], "at [1]: got 2, want nothing there"],
  [[], {}, "got [], want Object {}"],
  [{ a: { b: [1] } }, { a: { b: [2] } }, "at .a.b[0]: got 1, want 2"],
  [{ a: 1 }, { a: 1, b: undefined }, "at .b: missing, want undefined"],
  [new Map([["a", 1]]), new Map([["a", 2]]), "at .entries()[0][1]: got 1, want 2"],
  [new Set([1]), new Set([2]), "at .entries()[0]: got 1, want 2"],
  [new Float32Array([0]), new Float32Array([-0]), "at [0]: got 0, bits 0x00000000, want -0, bits 0x80000000"],
  [new Float32Array([1]), new Float64Array([1]), "got Float32Array(1) [1], want Float64Array(1) [1]"],
  [new Uint16Array(2), new Uint16Array(3), "got 4 bytes, want 6"],
  [new Uint32Array([1, 2]).buffer, new Uint32Array([1, 3]).buffer, "at [4]: got bits 0x02, want bits 0x03"],
  [new Error("a"), new Error("b"), "got Error: a, want Error: b"],
];

test("assertEquals() is deep, strict and compares typed arrays by bits", () => {
  for (const [a, b] of EQUAL) assertEquals(a, b);
  for (const [a, b, where] of DIFFERENT) {
    assertThrows(() => assertEquals(a, b, "the lists"), `the lists: ${where}`);
    assertThrows(() => assertEquals(b, a), "values differ");
  }
  const quiet = new Uint32Array([0x7fc00000]), other = new Uint32Array([0x7fc00001]);
  assertThrows(() => assertEquals(new Float32Array(quiet.buffer), new Float32Array(other.buffer)), "bits 0x7fc00000");
});

test("assertThrows() wants an Error with the text, and returns it", () => {
  const thrown = new RangeError("size is 3, expected 4");
  assert(
    assertThrows(() => {
      throw thrown;
    }, "expected 4") === thrown,
    "the error comes back",
  );
  assertThrows(() => assertThrows(() => 7, "any"), 'expected an error with "any", but the call returned 7');
  assertThrows(() =>
    assertThrows(() => {
      throw thrown;
    }, "other"), 'got "size is 3, expected 4"');
  assertThrows(() =>
    assertThrows(() => {
      throw "text";
    }, "text"), "expected an Error");
});

test("assertRejects() does the same for a promise", async () => {
  const thrown = new Error("no adapter");
  assert(await assertRejects(() => Promise.reject(thrown), "adapter") === thrown, "the error comes back");
  await assertRejects(() => assertRejects(() => Promise.resolve(7), "any"), "but the promise gave 7");
  await assertRejects(() => assertRejects(() => Promise.reject(thrown), "other"), 'got "no adapter"');
});

test("assertClose() holds each element to its own tolerance", () => {
  assertClose([1, 100], [1.001, 100.1], { name: "y", relative: 1.1e-3 });
  assertClose(new Float32Array([0, 1e-7]), [1e-7, 0], { name: "y", absolute: 1e-6 });
  assertClose([Infinity, -Infinity, NaN, 0], [Infinity, -Infinity, NaN, -0], { name: "y" });
  assertClose([0.5], [0], { name: "y", relative: 0.1, scale: [5] });
  assertClose([], [], { name: "y" });
  const fails = (
    actual: number[],
    expected: number[],
    options: { relative?: number; absolute?: number; scale?: number[] },
  ) => assertThrows(() => assertClose(actual, expected, { name: "y", ...options }), "y at (0): got");
  fails([1], [1.01], { relative: 1e-3 });
  fails([1e-3], [0], { relative: 1 });
  fails([0.5], [0], { relative: 0.1, scale: [4] });
  fails([NaN], [1], { absolute: 1e9 });
  fails([Infinity], [1], { absolute: 1e9, relative: 1 });
  fails([1], [Infinity], { relative: 1 });
  fails([-Infinity], [Infinity], { relative: 1 });
  fails([1], [NaN], { absolute: 1e9 });
  fails([1], [2], { absolute: Infinity });
  fails([1], [2], { absolute: NaN });
  fails([1], [2], { relative: 1, scale: [NaN] });
});

test("assertClose() says where, how far and how many", () => {
  const want = Array.from({ length: 24 }, () => 0.5), got = want.slice();
  got[17] = 0.75, got[20] = NaN;
  const { message } = assertThrows(() => assertClose(got, want, { name: "dw", shape: [2, 3, 4], absolute: 0.1 }), "dw");
  assertEquals(
    message,
    "dw at (1, 1, 1): got 0.75, want 0.5, error 0.250, tolerance 0.100; 2 of 24 differ, first row 4",
  );
});

test("assertClose() wants arrays, scale and shape of one length", () => {
  assertThrows(() => assertClose([1], [1, 2], { name: "y" }), "y: actual has 1 elements, expected has 2");
  assertThrows(() => assertClose([1], [1], { name: "y", scale: [1, 2] }), "y: scale has 2 elements, expected has 1");
  assertThrows(() => assertClose([1], [1], { name: "y", shape: [2, 3] }), "y: shape has 6 elements, expected has 1");
});

test("random() repeats by seed, differs between seeds and is uniform", () => {
  const draw = (seed: number) => Array.from({ length: 20_000 }, random(seed));
  const a = draw(1), b = draw(2);
  assertEquals(a, draw(1));
  assert(a.every((x, i) => x >= 0 && x < 1 && x !== b[i]), "each in [0, 1), none shared by neighbouring seeds");
  const mean = (f: (i: number) => number) => a.reduce((sum, _, i) => sum + f(i), 0) / a.length;
  const near = { absolute: 0.01, name: "moments" }; // 5 standard errors of the mean: 0.29 / sqrt(20000) = 0.002
  assertClose([mean((i) => a[i]!), mean((i) => a[i]! ** 2)], [1 / 2, 1 / 3], near);
  // A Weyl sequence fills the interval as evenly, but its steps all have one length.
  const step = (i: number) => (a[(i + 1) % a.length]! - a[i]!) ** 2;
  assertClose([mean(step), mean((i) => (a[i]! - b[i]!) ** 2)], [1 / 6, 1 / 6], near);
  assertClose([mean((i) => step(i) ** 2)], [1 / 15], near);
});

test("readShared() gives null for an absent file and refuses to leave the folder", async () => {
  assertEquals(await readShared("no/such/file.bin"), null);
  await assertRejects(() => readShared("../main/package.json"), "not a path below shared/");
  await assertRejects(() => readShared("/etc/hostname"), "not a path below shared/");
});
