/**
 * Unrolled text of the flash attention shaders. Registers are named, never indexed: indexed private arrays cost two to
 * seven times on software adapters and spill on some real ones.
 */
import type { Constants } from "../gpu/preprocess.ts";
import { type AttentionWindow, isWindowed, windowConstants } from "./attention_window.ts";
import { range, repeatLines } from "./codegen.ts";

interface Shape {
  /** Vectors in a head. */
  readonly chunks: number;
  /** Positions a thread holds. */
  readonly rows: number;
  readonly vector: "vec4f" | "f32";
}

/** The shape of a head of D numbers in vectors, with the number of positions that fit in registers together. */
export function shapeOf(D: number, perRow: number): Shape {
  const vector = D % 4 === 0 ? "vec4f" : "f32";
  const chunks = vector === "vec4f" ? D / 4 : D;
  // More than a processor has registers, but the stack is near: at D = 32, four rows are twice as fast on llvmpipe as
  // one or two.
  const registers = D <= 32 ? 512 : 256;
  const rows = Math.max(1, Math.min(4, 2 ** Math.floor(Math.log2(registers / (perRow * D)))));
  return { chunks, rows, vector };
}

/** The constants of a window in a pass of flash attention, whose forward pass leaves the documents behind lse. */
export function windowText(window: AttentionWindow, pass: "forward" | "query backward" | "key backward"): Constants {
  return {
    ...windowConstants(window, pass === "key backward" ? "queries" : "keys"),
    BOUND: pass === "forward",
    BEHIND_LSE: true,
  };
}

const constantsOf = ({ chunks, rows, vector }: Shape): Constants => ({ CHUNKS: chunks, ROWS: rows, VECTOR: vector });
const zero = ({ vector }: Shape): string => (vector === "vec4f" ? "vec4f()" : "0.0");

/** Sum over the chunks of products: a[0].b[0] + a[1].b[1] + … */
function dot(
  { chunks, vector }: Pick<Shape, "chunks" | "vector">,
  a: (c: number) => string,
  b: (c: number) => string,
): string {
  if (vector === "f32") {
    return range(chunks).reduce((sum, c) => (c === 0 ? `${a(0)} * ${b(0)}` : `fma(${a(c)}, ${b(c)}, ${sum})`), "");
  }
  const product = range(chunks).reduce(
    (sum, c) => (c === 0 ? `${a(0)} * ${b(0)}` : `fma(${a(c)}, ${b(c)}, ${sum})`),
    "",
  );
  return `dot(${product}, vec4f(1.0))`;
}

export const fused = ({ vector }: Pick<Shape, "vector">, scalar: string, x: string, sum: string): string =>
  `${sum} = fma(${vector === "vec4f" ? `vec4f(${scalar})` : scalar}, ${x}, ${sum});`;

/** Declares t0 … and the start of each row of a (B, T, heads, D) tensor; rows past T read the last one. */
const rowStarts = ({ rows, chunks }: Shape, heads: string): string =>
  repeatLines(rows, (r) =>
    `  let t${r} = first + ${r}u;
  let row${r} = (b * params.T + min(t${r}, last)) * ${heads} + h;
  let at${r} = row${r} * ${chunks}u;`);

const load = ({ rows, chunks }: Shape, name: string, from: string): string =>
  repeatLines(rows, (r) => repeatLines(chunks, (c) => `  let ${name}${r}_${c} = ${from}[at${r} + ${c}u];`));

/** Declares each row's window: (first, count). */
const loadWindows = ({ rows }: Shape, window: AttentionWindow, seen: string, of: string): string =>
  isWindowed(window) ? repeatLines(rows, (r) => `  let ${seen}${r} = ${of}(b, min(t${r}, last));`) : "";

const clear = (shape: Shape, name: string): string =>
  repeatLines(shape.rows, (r) => repeatLines(shape.chunks, (c) => `  var ${name}${r}_${c} = ${zero(shape)};`));

const store = (
  { rows, chunks }: Shape,
  to: readonly [string, (r: number, c: number) => string][],
  more: (r: number) => string = () => "",
): string =>
  repeatLines(rows, (r) =>
    `  if (t${r} < params.T) {
${to.map(([name, value]) => repeatLines(chunks, (c) => `    ${name}[at${r} + ${c}u] = ${value(r, c)};`)).join("\n")}
${more(r)}
  }`);

export function forwardText(D: number, window: AttentionWindow): Constants {
  const shape = shapeOf(D, 2), { chunks, rows } = shape;
  // Beyond the registers, more keys at a time only make longer text: at D = 64, one is a fifth faster than four on
  // llvmpipe, 5 % slower on SwiftShader, and compiled in a third of the time.
  const keys = D <= 32 ? 4 : 1;
  // A score far below the first `highest`: a row that has seen none of its keys yet then counts none of the others.
  const unseen = isWindowed(window) ? "-2e30" : "-1e30";
  const sees = (
    r: number,
    j: number,
  ): string => (isWindowed(window) ? `j + ${j}u - seen${r}.x < seen${r}.y` : `j + ${j}u <= t${r}`);
  return {
    ...constantsOf(shape),
    KEYS: keys,
    LOAD_ROWS: [
      rowStarts(shape, "params.H"),
      loadWindows(shape, window, "seen", "keys_seen"),
      load(shape, "q", "q"),
      clear(shape, "o"),
      repeatLines(rows, (r) => `  var highest${r} = -1e30;\n  var sum${r} = 0.0;`),
    ].join("\n"),
    SCORES: repeatLines(keys, (j) =>
      `    let at_key${j} = key_start + min(j + ${j}u, last) * key_stride;
${repeatLines(chunks, (c) => `    let k${j}_${c} = k[at_key${j} + ${c}u];`)}
${
        repeatLines(rows, (r) =>
          `    let s${r}_${j} = select(${unseen}, params.scale * ${
            dot(shape, (c) => `q${r}_${c}`, (c) => `k${j}_${c}`)
          }, ${sees(r, j)});`)
      }`),
    ACCUMULATE_VALUES: [
      repeatLines(
        rows,
        (r) =>
          `    let next${r} = max(highest${r}, ${
            range(keys).reduce((text, j) => (j === 0 ? `s${r}_0` : `max(${text}, s${r}_${j})`), "")
          });
    let shrink${r} = exp(highest${r} - next${r});
    highest${r} = next${r};
${repeatLines(keys, (j) => `    let p${r}_${j} = exp(s${r}_${j} - next${r});`)}
    sum${r} = sum${r} * shrink${r} + (${range(keys).map((j) => `p${r}_${j}`).join(" + ")});
${repeatLines(chunks, (c) => `    o${r}_${c} *= shrink${r};`)}`,
      ),
      repeatLines(keys, (j) =>
        repeatLines(chunks, (c) =>
          `    let v${j}_${c} = v[at_key${j} + ${c}u];
${repeatLines(rows, (r) => `    ${fused(shape, `p${r}_${j}`, `v${j}_${c}`, `o${r}_${c}`)}`)}`)),
    ].join("\n"),
    STORE_ROWS: store(
      shape,
      [["out", (r, c) => `o${r}_${c} / sum${r}`]],
      (r) =>
        `    lse[row${r}] = highest${r} + log(sum${r});${
          window.documents ? `\n    if (h == 0u) { keep_document(b, t${r}); }` : ""
        }`,
    ),
  };
}

export function queryBackwardText(D: number, window: AttentionWindow): Constants {
  const shape = shapeOf(D, 3), { chunks, rows } = shape;
  const sees = (r: number): string => (isWindowed(window) ? `j - seen${r}.x < seen${r}.y` : `j <= t${r}`);
  return {
    ...constantsOf(shape),
    LOAD_ROWS: [
      rowStarts(shape, "params.H"),
      loadWindows(shape, window, "seen", "keys_seen"),
      load(shape, "q", "q"),
      load(shape, "d", "dout"),
      clear(shape, "dq"),
      repeatLines(rows, (r) =>
        `  let lse${r} = lse[row${r}];
  let delta${r} = ${dot(shape, (c) => `d${r}_${c}`, (c) => `out[at${r} + ${c}u]`)};`),
    ].join("\n"),
    ADD_KEY: [
      repeatLines(chunks, (c) => `    let k_${c} = k[at + ${c}u];\n    let v_${c} = v[at + ${c}u];`),
      repeatLines(
        rows,
        (r) =>
          `    let p${r} = select(0.0, exp(params.scale * ${
            dot(shape, (c) => `q${r}_${c}`, (c) => `k_${c}`)
          } - lse${r}), ${sees(r)});
    let ds${r} = params.scale * p${r} * (${dot(shape, (c) => `d${r}_${c}`, (c) => `v_${c}`)} - delta${r});
${repeatLines(chunks, (c) => `    ${fused(shape, `ds${r}`, `k_${c}`, `dq${r}_${c}`)}`)}`,
      ),
    ].join("\n"),
    STORE_ROWS: store(shape, [["dq", (r, c) => `dq${r}_${c}`]], (r) => `    delta[row${r}] = delta${r};`),
  };
}

export function keyBackwardText(D: number, window: AttentionWindow): Constants {
  const shape = shapeOf(D, 4), { chunks, rows } = shape;
  const isSeen = (r: number): string => (isWindowed(window) ? `t - seeing${r}.x < seeing${r}.y` : `t >= t${r}`);
  return {
    ...constantsOf(shape),
    LOAD_ROWS: [
      rowStarts(shape, "params.KV"),
      loadWindows(shape, window, "seeing", "queries_seeing"),
      load(shape, "k", "k"),
      load(shape, "v", "v"),
      clear(shape, "dk"),
      clear(shape, "dv"),
    ].join("\n"),
    ADD_QUERY: [
      repeatLines(chunks, (c) => `      let q_${c} = q[at + ${c}u];\n      let d_${c} = dout[at + ${c}u];`),
      repeatLines(
        rows,
        (r) =>
          `      let p${r} = select(0.0, exp(params.scale * ${
            dot(shape, (c) => `q_${c}`, (c) => `k${r}_${c}`)
          } - row_lse), ${isSeen(r)});
      let ds${r} = params.scale * p${r} * (${dot(shape, (c) => `d_${c}`, (c) => `v${r}_${c}`)} - row_delta);
${
            repeatLines(chunks, (c) =>
              `      ${fused(shape, `p${r}`, `d_${c}`, `dv${r}_${c}`)}\n      ${
                fused(shape, `ds${r}`, `q_${c}`, `dk${r}_${c}`)
              }`)
          }`,
      ),
    ].join("\n"),
    STORE_ROWS: store(shape, [["dk", (r, c) => `dk${r}_${c}`], ["dv", (r, c) => `dv${r}_${c}`]]),
  };
}
