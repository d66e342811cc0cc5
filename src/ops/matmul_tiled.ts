import { ceilDiv, defineKernel, type DispatchSize } from "../gpu/kernel.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { Recorder } from "../plan/recorder.ts";
import type { MatmulMode, MatmulOperands, MatmulSize } from "./matmul_operands.ts";
import { sumSlices } from "./sum_slices.ts";
import matmulTiledCode from "../../shaders/matmul_tiled.wgsl" with { type: "text" };

interface Tile {
  /** Workgroup tile: BM × BN of the output, BK deep in K. */
  readonly BM: number;
  readonly BN: number;
  readonly BK: number;
  /** Sums of a thread: TM × TN of the output, multiples of RUN. */
  readonly TM: number;
  readonly TN: number;
}

/**
 * Best of the tuned sets that torchlette publishes for V100 and A100; all keep to 16 KiB and 256 threads. They are in
 * order of the uses of each loaded number. 8 x 8 sums a thread need about 100 registers: only for enough work to fill a
 * GPU like this.
 */
const LARGE: Tile = { BM: 128, BN: 128, BK: 8, TM: 8, TN: 8 };
const WIDE: Tile = { BM: 64, BN: 128, BK: 16, TM: 8, TN: 4 };
const MEDIUM: Tile = { BM: 64, BN: 64, BK: 16, TM: 4, TN: 4 };
const SMALL: Tile = { BM: 32, BN: 32, BK: 16, TM: 4, TN: 4 };

/**
 * Workgroups that keep a large GPU busy: two for each of about 128 multiprocessors. Small GPUs lose little by smaller
 * tiles.
 */
const WANTED_WORKGROUPS = 256;
/**
 * K from which on dividing it between workgroups pays for writing and summing the partial results; and its smallest
 * share. As only MEDIUM and SMALL tiles are split, and into fewer than twice the wanted workgroups, the partial results
 * stay below 8 MiB.
 */
const LONG_K = 1024, SMALLEST_SHARE = 256;

/** Tiles in a band, see the shader. */
const BAND = 8;
/**
 * Most steps of K in the unrolled loop, and most multiplications: jax-js lost 40 % by eight steps in a newer Chrome.
 */
const MAX_STEPS = 4, MAX_MULTIPLICATIONS = 128;

/** The constants of the shader for a tile. */
function tileConstants({ BM, BN, BK, TM, TN }: Tile, mode: MatmulMode): Constants {
  const THREADS_M = BM / TM, THREADS_N = BN / TN, WORKGROUP = THREADS_M * THREADS_N;
  const UNROLL = Math.min(MAX_STEPS, MAX_MULTIPLICATIONS / (TM * TN));
  const TRANSPOSE_A = mode[0] === "T", TRANSPOSE_B = mode[1] === "T";
  return {
    BM,
    BN,
    BK,
    BAND,
    WORKGROUP,
    THREADS_M,
    THREADS_N,
    TM,
    QUADS: TM / 4,
    VECTORS: TN / 4,
    UNROLL,
    STEPS: BK / UNROLL,
    TRANSPOSE_A,
    TRANSPOSE_B,
    // Vectors that a thread moves, and how far apart they lie: in depth, or in fours of rows.
    A_MOVES: (BM * BK) / (4 * WORKGROUP),
    A_STRIDE: TRANSPOSE_A ? (4 * WORKGROUP) / BM : WORKGROUP / BK,
    B_MOVES: (BN * BK) / (4 * WORKGROUP),
    B_STRIDE: TRANSPOSE_B ? WORKGROUP / BK : (4 * WORKGROUP) / BN,
  };
}

const tilesOf = ({ M, N }: MatmulSize, { BM, BN }: Pick<Tile, "BM" | "BN">): number => ceilDiv(M, BM) * ceilDiv(N, BN);

/** Number of workgroups that share the K of one tile. */
function splitsOf(size: MatmulSize, tile: Pick<Tile, "BM" | "BN">): number {
  if (size.K < LONG_K) return 1;
  return Math.max(1, Math.min(ceilDiv(WANTED_WORKGROUPS, tilesOf(size, tile)), Math.floor(size.K / SMALLEST_SHARE)));
}

/**
 * The largest tile that gives enough workgroups and is at least half full; if none does, K is split if it is long.
 */
function tileFor(size: MatmulSize): Tile {
  const isFull = ({ BM, BN }: Tile): boolean => size.M > BM / 2 && size.N > BN / 2;
  const enough = [LARGE, WIDE, MEDIUM].find((tile) => isFull(tile) && tilesOf(size, tile) >= WANTED_WORKGROUPS);
  return enough ?? (size.K >= LONG_K && isFull(MEDIUM) ? MEDIUM : SMALL);
}

/** Workgroups of a launch. Only launches of few tiles are split, so those need no second dimension. */
function groupsOf(size: { M: number; N: number; K: number }, { BM, BN, SPLIT }: Constants): number | DispatchSize {
  const tile = { BM: Number(BM), BN: Number(BN) };
  return SPLIT ? [tilesOf(size, tile), 1, splitsOf(size, tile)] : tilesOf(size, tile);
}

const matmulKernel = defineKernel({
  name: "matmul_tiled",
  code: matmulTiledCode,
  reads: { a: "numbers", b: "numbers", addend: "numbers?" },
  writes: { out: "numbers" },
  params: { M: "u32", N: "u32", K: "u32", a_offset: "u32", b_offset: "u32", out_offset: "u32" },
  groups: groupsOf,
});

/** True if rows of `row` numbers that start at `offset` can be read four numbers at a time. */
const isWide = (row: number, offset: number): boolean => row % 4 === 0 && offset % 4 === 0;

/**
 * `matmul()` for the tiled target. Few tiles and a long K, as in the weight gradient of many tokens, are summed in two
 * steps.
 */
export function matmulTiled(
  r: Recorder,
  mode: MatmulMode,
  { a, b, target, addend }: MatmulOperands,
  size: MatmulSize,
): void {
  const params = { a_offset: 0, b_offset: 0, out_offset: 0, ...size }, { M, N, K } = size;
  const tile = tileFor(size), splits = splitsOf(size, tile), constants = tileConstants(tile, mode);
  const B_PAIRS = mode === "NT" && b.type !== "f32" && constants["B_MOVES"] === 2;
  const kernel = matmulKernel.with({
    ...constants,
    B_PAIRS,
    B_ROWS: B_PAIRS ? 1 : constants["B_MOVES"]!,
    EDGES: M % tile.BM !== 0 || N % tile.BN !== 0,
    EDGE_K: K % tile.BK !== 0,
    A_WIDE: mode === "TN" && isWide(M, params.a_offset),
    B_WIDE: mode !== "NT" && isWide(N, params.b_offset),
    OUT_WIDE: isWide(N, params.out_offset),
    SPLIT: splits > 1,
    ACCUMULATE: target.accumulate && !addend && splits === 1,
  });
  if (splits === 1) return r.run(kernel, { a, b, addend, out: target.tensor }, params);
  const slices = r.tensor("slices", [splits, M, N], "scratch");
  r.run(kernel.with({ OUT_WIDE: isWide(N, 0) }), { a, b, out: slices }, { ...params, out_offset: 0 });
  sumSlices(r, slices, target, { addend, out_offset: params.out_offset });
}
