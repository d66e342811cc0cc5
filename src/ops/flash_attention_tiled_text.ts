/** Unrolled text of the flash attention shaders for GPUs with workgroup memory, and their tiling of a head. */
import type { Constants } from "../gpu/preprocess.ts";
import { dot, fused, type Shape } from "./flash_attention_text.ts";
import { range, repeatLines } from "./codegen.ts";

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
interface Tiling extends Pick<Shape, "chunks" | "vector"> {
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
function tilingFor(
  D: number,
  { perRow, sums, perKey }: { readonly perRow: number; readonly sums: number; readonly perKey: number },
): Tiling | undefined {
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

function constantsOf({ vector, width, slices, chunks, rows, keys }: Tiling, sums: string): Constants {
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

const tileAt = (tile: string, j: number, c: number, { width }: Tiling): string => `${tile}[near + ${j * width + c}u]`;

/** Dot products of this thread's slice of a row with the same slice of four rows in workgroup memory. */
const products = (tiling: Tiling, row: string, tile: string): string =>
  `vec4f(${
    range(QUAD).map((j) => `\n        ${dot(tiling, (c) => `${row}_${c}`, (c) => tileAt(tile, j, c, tiling))}`).join(
      ",",
    )
  })`;

const load = ({ chunks }: Tiling, name: string): string =>
  repeatLines(chunks, (c) => `  let ${name}_${c} = ${name}[at + ${c}u];`);
const clear = ({ chunks, vector }: Tiling, name: string): string =>
  repeatLines(chunks, (c) => `  var ${name}_${c} = ${vector}();`);
const store = ({ chunks }: Tiling, to: string, value: (c: number) => string): string =>
  repeatLines(chunks, (c) => `    ${to}[at + ${c}u] = ${value(c)};`);

/** sum += four rows in workgroup memory, each times its component of `factors`. */
const add = (tiling: Tiling, sum: string, factors: string, tile: string): string =>
  repeatLines(
    tiling.chunks,
    (c) =>
      repeatLines(QUAD, (j) =>
        `      ${fused(tiling, `${factors}.${"xyzw"[j]}`, tileAt(tile, j, c, tiling), `${sum}_${c}`)}`),
  );

/** The constants of flash_attention_tiled; undefined if it cannot take heads of D numbers. Likewise below. */
export function tiledForwardText(D: number): Constants | undefined {
  const tiling = tilingFor(D, { perRow: 2, sums: 16, perKey: 0 });
  return tiling && {
    ...constantsOf(tiling, "vec4f"),
    LOAD_ROW: [load(tiling, "q"), clear(tiling, "o")].join("\n"),
    QUERY_KEY: products(tiling, "q", "k_tile"),
    ADD_VALUES: [repeatLines(tiling.chunks, (c) => `      o_${c} *= shrink;`), add(tiling, "o", "p", "v_tile")].join(
      "\n",
    ),
    STORE_ROW: store(tiling, "out", (c) => `o_${c} / sum`),
  };
}

export function tiledQueryBackwardText(D: number): Constants | undefined {
  const tiling = tilingFor(D, { perRow: 3, sums: 32, perKey: 0 });
  return tiling && {
    ...constantsOf(tiling, "mat2x4f"),
    LOAD_ROW: [load(tiling, "q"), load(tiling, "dout"), clear(tiling, "dq")].join("\n"),
    OUT_DOUT: dot(tiling, (c) => `dout_${c}`, (c) => `out[at + ${c}u]`),
    QUERY_KEY: products(tiling, "q", "k_tile"),
    DOUT_VALUE: products(tiling, "dout", "v_tile"),
    ADD_KEYS: add(tiling, "dq", "ds", "k_tile"),
    STORE_ROW: store(tiling, "dq", (c) => `dq_${c}`),
  };
}

export function tiledKeyBackwardText(D: number): Constants | undefined {
  const tiling = tilingFor(D, { perRow: 4, sums: 32, perKey: 8 });
  return tiling && {
    ...constantsOf(tiling, "mat2x4f"),
    LOAD_ROW: [load(tiling, "k"), load(tiling, "v"), clear(tiling, "dk"), clear(tiling, "dv")].join("\n"),
    QUERY_KEY: products(tiling, "k", "q_tile"),
    DOUT_VALUE: products(tiling, "v", "dout_tile"),
    ADD_QUERIES: [add(tiling, "dv", "p", "dout_tile"), add(tiling, "dk", "ds", "q_tile")].join("\n"),
    STORE_ROW: [store(tiling, "dk", (c) => `dk_${c}`), store(tiling, "dv", (c) => `dv_${c}`)].join("\n"),
  };
}
