// One test interface for both runtimes. In Deno a test is a Deno.test; in Chromium it goes into `cases`, which
// tests/browser/main.ts runs. Either way its outcome reaches tests/run.mjs as a TestEvent.

export interface Case {
  name: string;
  run(): void | Promise<void>;
}

/** An event for the runner: `start` comes first, so that a test that hangs or takes its process down has a name. */
export type TestEvent =
  | { event: "start"; name: string }
  | { event: "end"; name: string; outcome: "passed" | "failed" | "skipped"; ms: number; detail: string };

// The few names of Deno used here, so that the page's type check needs no Deno types.
interface DenoNames {
  test(definition: { name: string; fn(): Promise<void>; sanitizeOps: boolean; sanitizeResources: boolean }): void;
  readFile(path: URL): Promise<Uint8Array<ArrayBuffer>>;
  writeTextFileSync(path: string, text: string, options: { append: boolean }): void;
  errors: { NotFound: new () => Error };
  env: { get(name: string): string | undefined };
}
const deno = (globalThis as { Deno?: DenoNames }).Deno;

export const runtime: "deno" | "browser" = deno ? "deno" : "browser";

/** The tests registered in the browser, in order. Empty in Deno, where Deno.test keeps them. */
export const cases: Case[] = [];

export function test(name: string, run: () => void | Promise<void>): void {
  if (!deno) {
    cases.push({ name, run });
    return;
  }
  deno.test({
    name,
    fn: () => runCase({ name, run }, reportToFile),
    // One GPU device serves all tests of a file, so its resources outlive the test that made them.
    sanitizeOps: false,
    sanitizeResources: false,
  });
}

class Skipped extends Error {}

/** Ends the test as skipped, if this machine lacks something (a feature, a shared file), never for a bug. */
export function skip(reason: string): never {
  throw new Skipped(reason);
}

/** Runs one case, reports it, and throws its error again, except a skip. */
export async function runCase({ name, run }: Case, report: (event: TestEvent) => void | Promise<void>): Promise<void> {
  await report({ event: "start", name });
  const begun = performance.now();
  const end = (outcome: "passed" | "failed" | "skipped", detail: string) =>
    report({ event: "end", name, outcome, ms: performance.now() - begun, detail });
  try {
    await run();
  } catch (error) {
    if (error instanceof Skipped) {
      console.log(`skipped: ${error.message}`);
      return end("skipped", error.message);
    }
    await end("failed", describe(error));
    throw error;
  }
  return end("passed", "");
}

/** Reports to a file, not stdout: `deno test` keeps a test's output until the test ends, and a crash would lose it. */
function reportToFile(event: TestEvent): void {
  const path = deno?.env.get("SCRIMP_TEST_EVENTS");
  if (path) deno?.writeTextFileSync(path, JSON.stringify(event) + "\n", { append: true });
}

/** The message, then the frames; V8's stack already begins with the message. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return `thrown: ${show(error)}`;
  const stack = error.stack ?? "";
  const text = stack.includes(error.message) ? stack : `${error.name}: ${error.message}\n${stack}`;
  return error.cause === undefined ? text : `${text}\ncaused by ${describe(error.cause)}`;
}

// ---- assertions -------------------------------------------------------------------------------------------------

export class AssertionError extends Error {
  override name = "AssertionError";
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Compares deeply: NaN equals NaN, 0 differs from -0, an absent key from an undefined one; typed arrays by bits. */
export function assertEquals(actual: unknown, expected: unknown, message = "values differ"): void {
  const where = difference(actual, expected, "");
  if (where) throw new AssertionError(`${message}: ${where}`);
}

/** `fn` must throw an Error whose message includes `includes`; returns that error. */
export function assertThrows(fn: () => unknown, includes: string): Error {
  let result: unknown;
  try {
    result = fn();
  } catch (error) {
    return checkThrown(error, includes);
  }
  throw new AssertionError(`expected an error with ${show(includes)}, but the call returned ${show(result)}`);
}

/** The promise of `fn` must reject with an Error whose message includes `includes`; returns that error. */
export async function assertRejects(fn: () => Promise<unknown>, includes: string): Promise<Error> {
  let result: unknown;
  try {
    result = await fn();
  } catch (error) {
    return checkThrown(error, includes);
  }
  throw new AssertionError(`expected a rejection with ${show(includes)}, but the promise gave ${show(result)}`);
}

function checkThrown(error: unknown, includes: string): Error {
  if (error instanceof Skipped) throw error;
  if (!(error instanceof Error)) {
    throw new AssertionError(`expected an Error with ${show(includes)}, got ${show(error)}`);
  }
  if (error.message.includes(includes)) return error;
  throw new AssertionError(`expected an error with ${show(includes)}, got ${show(error.message)}`, { cause: error });
}

export interface Closeness {
  /** Names the tensor in the failure message. */
  name: string;
  /** Allowed error as a fraction of |expected[i]|, or of scale[i] if `scale` is given. Default 0. */
  relative?: number;
  /** Allowed error added to that. Default 0, so that with neither the comparison is exact. */
  absolute?: number;
  /** The size of each element that rounding is relative to: for a sum, the sum of the absolute terms. */
  scale?: ArrayLike<number>;
  /** Row-major shape, for a readable position. */
  shape?: readonly number[];
}

/** Every |actual[i] - expected[i]| is within absolute + relative * scale[i]. Non-finite values must agree exactly. */
export function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, closeness: Closeness): void {
  const { name, relative = 0, absolute = 0, scale, shape = [expected.length] } = closeness;
  const size = shape.reduce((product, n) => product * n, 1);
  for (
    const [what, length] of [["actual", actual.length], ["shape", size], ["scale", scale?.length ?? size]] as const
  ) {
    if (length !== expected.length) {
      throw new AssertionError(`${name}: ${what} has ${length} elements, expected has ${expected.length}`);
    }
  }
  const tolerance = (i: number) => absolute + relative * Math.abs(scale ? scale[i]! : expected[i]!);
  const bad: number[] = [];
  for (let i = 0; i < expected.length; i++) {
    if (!isClose(actual[i]!, expected[i]!, tolerance(i))) bad.push(i);
  }
  if (bad.length === 0) return;
  const first = bad[0]!;
  const row = Math.floor(first / (shape.at(-1) ?? 1));
  const error = Math.abs(actual[first]! - expected[first]!);
  throw new AssertionError(
    `${name} at (${position(first, shape).join(", ")}): got ${show(actual[first])}, want ${show(expected[first])}, ` +
      `error ${error.toPrecision(3)}, tolerance ${tolerance(first).toPrecision(3)}; ` +
      `${bad.length} of ${expected.length} differ, first row ${row}`,
  );
}

function isClose(actual: number, expected: number, tolerance: number): boolean {
  if (!Number.isFinite(expected)) return Object.is(actual, expected);
  // A tolerance that is NaN or infinite would forgive everything; the comparison with it must fail.
  return Number.isFinite(tolerance) && Math.abs(actual - expected) <= tolerance;
}

function position(index: number, shape: readonly number[]): number[] {
  const at: number[] = [];
  for (const size of shape.toReversed()) {
    at.unshift(index % size);
    index = Math.floor(index / size);
  }
  return at;
}

/** The place and kind of the first difference, or "" when the two are equal. */
function difference(actual: unknown, expected: unknown, path: string): string {
  if (Object.is(actual, expected)) return "";
  const differ = `${path && `at ${path}: `}got ${show(actual)}, want ${show(expected)}`;
  if (!isObject(actual) || !isObject(expected) || typeof actual === "function") return differ;
  if (Object.getPrototypeOf(actual) !== Object.getPrototypeOf(expected)) return differ;
  if (actual instanceof ArrayBuffer || ArrayBuffer.isView(actual)) return bitDifference(actual, expected, path);
  if (actual instanceof Date || actual instanceof RegExp || actual instanceof Error) {
    return String(actual) === String(expected) ? "" : differ;
  }
  if (actual instanceof Map || actual instanceof Set) {
    return difference([...actual], [...(expected as unknown as Iterable<unknown>)], `${path}.entries()`);
  }
  const keys = new Set([...Object.keys(actual), ...Object.keys(expected)]);
  for (const key of keys) {
    const here = Array.isArray(actual) ? `${path}[${key}]` : `${path}.${key}`;
    if (!Object.hasOwn(actual, key)) return `at ${here}: missing, want ${show(expected[key])}`;
    if (!Object.hasOwn(expected, key)) return `at ${here}: got ${show(actual[key])}, want nothing there`;
    const found = difference(actual[key], expected[key], here);
    if (found) return found;
  }
  return Array.isArray(actual) && actual.length !== expected["length"] ? differ : "";
}

function bitDifference(actual: unknown, expected: unknown, path: string): string {
  const a = bytesOf(actual as ArrayBuffer | ArrayBufferView), b = bytesOf(expected as ArrayBuffer | ArrayBufferView);
  const at = a.findIndex((byte, i) => byte !== b[i]);
  if (at < 0 && a.length === b.length) return "";
  if (at < 0 || a.length !== b.length) return `${path && `at ${path}: `}got ${a.length} bytes, want ${b.length}`;
  const width = (actual as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
  const index = Math.floor(at / width);
  const element = (whole: unknown, bytes: Uint8Array) => {
    const hex = [...bytes.subarray(index * width, (index + 1) * width)].reverse();
    const value = isObject(whole) && index in whole ? `${show(whole[index])}, ` : "";
    return `${value}bits 0x${hex.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  };
  return `at ${path}[${index}]: got ${element(actual, a)}, want ${element(expected, b)}`;
}

function bytesOf(data: ArrayBuffer | ArrayBufferView): Uint8Array {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function isObject(value: unknown): value is Record<string | number, unknown> {
  return value !== null && (typeof value === "object" || typeof value === "function");
}

/** A value on one line, cut short: a message must stay readable whatever the value. */
function show(value: unknown): string {
  const text = showWhole(value);
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}

function showWhole(value: unknown): string {
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "bigint") return `${value}n`;
  if (!isObject(value)) return typeof value === "string" ? JSON.stringify(value) : String(value);
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (ArrayBuffer.isView(value) && "length" in value) {
    const head = Array.from(value as unknown as ArrayLike<number | bigint>).slice(0, 8);
    return `${value.constructor.name}(${String(value.length)}) [${head.map(show).join(", ")}]`;
  }
  if (Array.isArray(value)) return `[${value.slice(0, 20).map(show).join(", ")}]`;
  const entries = Object.entries(value).slice(0, 20).map(([key, item]) => `${key}: ${show(item)}`);
  return `${value.constructor?.name ?? ""} {${entries.join(", ")}}`;
}

// ---- shared files and random numbers ----------------------------------------------------------------------------

/** The bytes of `../shared/<path>` (fixtures, data), or null if this checkout has no such file. */
export async function readShared(path: string): Promise<Uint8Array<ArrayBuffer> | null> {
  assert(!path.split("/").includes("..") && !path.startsWith("/"), `readShared: ${path} is not a path below shared/`);
  if (!deno) {
    const response = await fetch(`/shared/${path}`);
    if (response.status === 404) return null;
    if (!response.ok) throw new Error(`readShared: ${path} gave HTTP ${response.status}, expected 200 or 404`);
    return new Uint8Array(await response.arrayBuffer());
  }
  try {
    return await deno.readFile(new URL(`../../shared/${path}`, import.meta.url));
  } catch (error) {
    if (error instanceof deno.errors.NotFound) return null;
    throw error;
  }
}

/** Doubles in [0, 1) with 53 random bits: xoshiro128**, its state filled by splitmix32 from a 32-bit seed. */
export function random(seed: number): () => number {
  let z = seed | 0;
  const splitmix = (): number => {
    z = (z + 0x9e3779b9) | 0;
    let t = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    t = Math.imul(t ^ (t >>> 15), 0x735a2d97);
    return t ^ (t >>> 15);
  };
  let a = splitmix(), b = splitmix(), c = splitmix(), d = splitmix();
  const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by));
  const next = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a, d ^= b, b ^= c, a ^= d, c ^= t;
    d = rotate(d, 11);
    return result;
  };
  return () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
}
