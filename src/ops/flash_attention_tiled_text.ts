/** Unrolled text of the flash attention shaders for GPUs with workgroup memory, and their tiling of a head. */
import type { Constants } from "../gpu/preprocess.ts";
import { dot, fused, type Shape } from "./flash_attention_text.ts";
import { lines, range } from "./text.ts";

/**
 * Numbers of a row and of its sums that a thread may hold: compilers spill beyond 255 registers, and some need 40 of
 * their own.
 */
const REGISTERS = 128;
/** Workgroup memory that WebGPU guarantees, in bytes. */
const WORKGROUP_MEMORY = 16384;
const MOST_ROWS = 64, MOST_THREADS = 128, MOST_SLICES = 8, MOST_KEYS = 32;
const QUAD = 4;

/** Tiling of a workgroup. A row of a long head is shared by `slices` threads, each with `chunks` vectors of it. */
interface Cut extends Pick<Shape, "chunks" | "vector"> {
  readonly slices: number;
  /** Positions of a workgroup, and positions that it holds in workgroup memory at a time. */
  readonly rows: number;
  readonly keys: number;
  /** Vectors in a head. */
  readonly width: number;
}

/**
 * The tiling for heads of D numbers.
 * @param perRow vectors of registers for each vector of the head
 * @param sums bytes that a thread exchanges with the others of its row
 * @param perKey bytes of workgroup memory for each key besides its two vectors
 * @returns undefined if a head cannot be cut like this: prime or very long.
 */
function cutOf(
  D: number,
  { perRow, sums, perKey }: { readonly perRow: number; readonly sums: number; readonly perKey: number },
): Cut | undefined {
  const vector = D % 4 === 0 ? "vec4f" : "f32";
  const width = vector === "vec4f" ? D / 4 : D;
  const slices = range(MOST_SLICES).map((i) => i + 1).find((count) =>
    width % count === 0 && (perRow * D) / count <= REGISTERS
  );
  if (!slices) return undefined;
  const rows = slices === 1 ? MOST_ROWS : Math.min(MOST_ROWS, 2 ** Math.floor(Math.log2(MOST_THREADS / slices)));
  const exchange = slices === 1 ? 0 : 2 * sums * rows * slices;
  const keys = Math.min(MOST_KEYS, Math.floor((WORKGROUP_MEMORY - exchange) / (8 * D + perKey) / QUAD) * QUAD);
  return keys > 0 ? { vector, width, slices, chunks: width / slices, rows, keys } : undefined;
}

function constantsOf({ vector, width, slices, chunks, rows, keys }: Cut, sums: string): Constants {
  const WORKGROUP = rows * slices;
  return {
    VECTOR: vector,
    WIDTH: width,
    CHUNKS: chunks,
    ROWS: rows,
    SLICES: slices,
    SLICED: slices > 1,
    SUMS: sums,
    PARTS: 2 * WORKGROUP,
    WORKGROUP,
    TILE_KEYS: keys,
    TILE: keys * width,
    BLOCKS: keys / QUAD,
    LOADS: Math.ceil((keys * width) / WORKGROUP),
  };
}

const near = (tile: string, j: number, c: number, { width }: Cut): string => `${tile}[near + ${j * width + c}u]`;

/** Dot products of this thread's slice of a row with the same slice of four rows in workgroup memory. */
const products = (cut: Cut, row: string, tile: string): string =>
  `vec4f(${
    range(QUAD).map((j) => `\n        ${dot(cut, (c) => `${row}_${c}`, (c) => near(tile, j, c, cut))}`).join(",")
  })`;

const load = ({ chunks }: Cut, name: string): string =>
  lines(chunks, (c) => `  let ${name}_${c} = ${name}[at + ${c}u];`);
const clear = ({ chunks, vector }: Cut, name: string): string =>
  lines(chunks, (c) => `  var ${name}_${c} = ${vector}();`);
const store = ({ chunks }: Cut, to: string, value: (c: number) => string): string =>
  lines(chunks, (c) => `    ${to}[at + ${c}u] = ${value(c)};`);

/** sum += four rows in workgroup memory, each times its component of `factors`. */
const add = (cut: Cut, sum: string, factors: string, tile: string): string =>
  lines(
    cut.chunks,
    (c) => lines(QUAD, (j) => `      ${fused(cut, `${factors}.${"xyzw"[j]}`, near(tile, j, c, cut), `${sum}_${c}`)}`),
  );

/** The constants of flash_attention_tiled; undefined if it cannot take heads of D numbers. Likewise below. */
export function tiledForwardText(D: number): Constants | undefined {
  const cut = cutOf(D, { perRow: 2, sums: 16, perKey: 0 });
  return cut && {
    ...constantsOf(cut, "vec4f"),
    LOAD_ROW: [load(cut, "q"), clear(cut, "o")].join("\n"),
    QUERY_KEY: products(cut, "q", "k_tile"),
    ADD_VALUES: [lines(cut.chunks, (c) => `      o_${c} *= shrink;`), add(cut, "o", "p", "v_tile")].join("\n"),
    STORE_ROW: store(cut, "out", (c) => `o_${c} / sum`),
  };
}

export function tiledQueryBackwardText(D: number): Constants | undefined {
  const cut = cutOf(D, { perRow: 3, sums: 32, perKey: 0 });
  return cut && {
    ...constantsOf(cut, "mat2x4f"),
    LOAD_ROW: [load(cut, "q"), load(cut, "dout"), clear(cut, "dq")].join("\n"),
    OUT_DOUT: dot(cut, (c) => `dout_${c}`, (c) => `out[at + ${c}u]`),
    QUERY_KEY: products(cut, "q", "k_tile"),
    DOUT_VALUE: products(cut, "dout", "v_tile"),
    ADD_KEYS: add(cut, "dq", "ds", "k_tile"),
    STORE_ROW: store(cut, "dq", (c) => `dq_${c}`),
  };
}

export function tiledKeyBackwardText(D: number): Constants | undefined {
  const cut = cutOf(D, { perRow: 4, sums: 32, perKey: 8 });
  return cut && {
    ...constantsOf(cut, "mat2x4f"),
    LOAD_ROW: [load(cut, "k"), load(cut, "v"), clear(cut, "dk"), clear(cut, "dv")].join("\n"),
    QUERY_KEY: products(cut, "k", "q_tile"),
    DOUT_VALUE: products(cut, "v", "dout_tile"),
    ADD_QUERIES: [add(cut, "dv", "p", "dout_tile"), add(cut, "dk", "ds", "q_tile")].join("\n"),
    STORE_ROW: [store(cut, "dk", (c) => `dk_${c}`), store(cut, "dv", (c) => `dv_${c}`)].join("\n"),
  };
}
