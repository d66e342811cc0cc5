import { ceilDiv, defineKernel, type DispatchSize } from "../gpu/kernel.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { Recorder } from "../plan/recorder.ts";
import type { MatmulMode, MatmulOperands, MatmulSize } from "./matmul_operands.ts";
import { sumSlices } from "./sum_slices.ts";
import { formatConstants, UNPACK_LIBRARIES } from "./weight_formats.ts";
import { range, repeatLines } from "./codegen.ts";
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

/**
 * A thread's rows and columns come in runs of four neighbours, 16-byte aligned: drivers then read workgroup memory four
 * at a time.
 */
const RUN = 4;
/** Padding that keeps the alignment of RUN, and spreads a transposed store over the banks of the memory. */
const PAD = 4;
/** Tiles in a band, see the shader. */
const BAND = 8;
/**
 * Most steps of K in the unrolled loop, and most multiplications: jax-js lost 40 % by eight steps in a newer Chrome.
 */
const MAX_STEPS = 4, MAX_MULTIPLICATIONS = 128;

/** The text of the shader, unrolled for a tile. */
function tileText({ BM, BN, BK, TM, TN }: Tile, TRANSPOSE_A: boolean, TRANSPOSE_B: boolean): Constants {
  const threadsM = BM / TM, threadsN = BN / TN, WORKGROUP = threadsM * threadsN;
  const widthA = BM + PAD, widthB = BN + PAD;
  const UNROLL = Math.min(MAX_STEPS, MAX_MULTIPLICATIONS / (TM * TN));
  /** A thread's i-th row lies this many rows after its first; likewise columns. */
  const rowOf = (i: number): number => Math.floor(i / RUN) * RUN * threadsM + (i % RUN);
  const columnOf = (j: number): number => Math.floor(j / RUN) * RUN * threadsN + (j % RUN);
  /**
   * Position (along the tile's edge, in depth) of the number that a thread moves in round i: neighbours in memory by
   * neighbouring threads.
   */
  const placeOf = (i: number, edge: number, depthFirst: boolean): readonly [string, string] => {
    const inner = depthFirst ? BK : edge;
    const slow = `lane / ${inner}u + ${(i * WORKGROUP) / inner}u`, fast = `lane % ${inner}u`;
    return depthFirst ? [slow, fast] : [fast, slow];
  };
  const moves = [
    { name: "a", origin: "m0", edge: BM, width: widthA, depthFirst: !TRANSPOSE_A },
    { name: "b", origin: "n0", edge: BN, width: widthB, depthFirst: TRANSPOSE_B },
  ].flatMap((side) =>
    range((side.edge * BK) / WORKGROUP).map((i) => ({ ...side, i, place: placeOf(i, side.edge, side.depthFirst) }))
  );
  return {
    BM,
    BN,
    BK,
    BAND,
    WORKGROUP,
    UNROLL,
    TRANSPOSE_A,
    TRANSPOSE_B,
    A_TILE: widthA * BK,
    B_TILE: widthB * BK,
    THREADS_N: threadsN,
    RUN_M: RUN,
    RUN_N: RUN,
    STEPS: BK / UNROLL,
    CLEAR_SUMS: repeatLines(TM, (i) => `  ${range(TN).map((j) => `var sum${i}_${j} = 0.0;`).join(" ")}`),
    LOAD_TILES: moves.map(({ name, i, origin, place: [along, deep] }) =>
      `    let ${name}${i} = ${name}_at(${origin} + ${along}, k0 + ${deep});`
    ).join("\n"),
    STORE_TILES: moves.map(({ name, i, width, place: [along, deep] }) =>
      `    ${name}_tile[(${deep}) * ${width}u + ${along}] = ${name}${i};`
    ).join("\n"),
    MULTIPLY: repeatLines(UNROLL, (u) =>
      `      {
${repeatLines(TM, (i) => `        let a${i} = a_tile[(k + ${u}u) * ${widthA}u + row + ${rowOf(i)}u];`)}
${repeatLines(TN, (j) => `        let b${j} = b_tile[(k + ${u}u) * ${widthB}u + column + ${columnOf(j)}u];`)}
${
        repeatLines(
          TM,
          (i) => `        ${range(TN).map((j) => `sum${i}_${j} = fma(a${i}, b${j}, sum${i}_${j});`).join(" ")}`,
        )
      }
      }`),
    STORE_SUMS: repeatLines(
      TM,
      (i) =>
        range(TN).map((j) => `  store(start, m0 + row + ${rowOf(i)}u, n0 + column + ${columnOf(j)}u, sum${i}_${j});`)
          .join("\n"),
    ),
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

const definition = {
  code: matmulTiledCode,
  libraries: UNPACK_LIBRARIES,
  params: { M: "u32", N: "u32", K: "u32", a_offset: "u32", b_offset: "u32", out_offset: "u32" },
  constants: {
    ...tileText(SMALL, false, false),
    EDGES: true,
    SPLIT: false,
    ACCUMULATE: false,
    ADD: false,
    ...formatConstants("f32"),
  },
  groups: groupsOf,
} as const;
const matmulKernel = defineKernel({
  ...definition,
  name: "matmul_tiled",
  bindings: { a: "read", b: "read", out: "read_write" },
});
const matmulAddKernel = defineKernel({
  ...definition,
  name: "matmul_tiled_add",
  bindings: { a: "read", b: "read", addend: "read", out: "read_write" },
  constants: { ...definition.constants, ADD: true },
});

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
  const tile = tileFor(size);
  const params = { a_offset: 0, b_offset: 0, out_offset: 0, ...size };
  const { M, N, K } = size;
  const EDGES = M % tile.BM !== 0 || N % tile.BN !== 0 || K % tile.BK !== 0;
  const constants = { ...tileText(tile, mode[0] === "T", mode[1] === "T"), EDGES, ...formatConstants(b.type) };
  const splits = splitsOf(size, tile);
  if (splits > 1) {
    const slices = r.tensor("slices", [splits, M, N], "scratch");
    r.run(matmulKernel.with({ ...constants, SPLIT: true }), { a, b, out: slices }, { ...params, out_offset: 0 });
    sumSlices(r, slices, target, { addend, out_offset: params.out_offset });
  } else if (addend) r.run(matmulAddKernel.with(constants), { a, b, addend, out: target.tensor }, params);
  else r.run(matmulKernel.with({ ...constants, ACCUMULATE: target.accumulate }), { a, b, out: target.tensor }, params);
}
