import { ceilDiv, defineKernel } from "../gpu/kernel.ts";
import type { KernelTarget } from "../gpu/device.ts";
import { memoize } from "../gpu/memoize.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { Recorder } from "../plan/recorder.ts";
import type { MatmulMode, MatmulOperands, MatmulSize } from "./matmul_operands.ts";
import matmulCode from "../../shaders/matmul.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

/** A specialisation of the portable matmul. */
interface Block {
  readonly mode: MatmulMode;
  /** Rows and columns of the block that one thread computes. */
  readonly tile: number;
  /** Numbers that are read of each tensor at a time: 4 where its rows divide, else 1. */
  readonly a: 1 | 4;
  readonly b: 1 | 4;
  readonly out: 1 | 4;
  /** True if M or N is not a multiple of the tile. */
  readonly edge: boolean;
  /** Values of k in one turn of the loop. */
  readonly unroll: number;
  /** True if K is not a multiple of `unroll`. */
  readonly tail: boolean;
  readonly accumulate: boolean;
}

/** The constants of shaders/matmul.wgsl. An operand's rows run along k: A of NT and NN, B of NT. */
function blockConstants({ mode, tile, a, b, out, edge, unroll, tail, accumulate }: Block): Constants {
  const A_ALONG = mode !== "TN", B_ALONG = mode === "NT";
  return {
    TILE: tile,
    EDGE: edge,
    ACCUMULATE: accumulate,
    PHASES: tail ? 2 : 1,
    UNROLL0: unroll,
    UNROLL1: 1,
    A_ALONG,
    A_WIDTH: a,
    A_WIDE: a === 4,
    A_RUN: A_ALONG ? 1 : a,
    A_RUNS: A_ALONG ? tile : tile / a,
    A_LOADS0: unroll / a,
    A_LOADS1: 1,
    B_ALONG,
    B_WIDTH: b,
    B_WIDE: b === 4,
    B_RUNS: tile / b,
    B_LOADS0: unroll / b,
    B_LOADS1: 1,
    OUT_WIDTH: out,
    OUT_WIDE: out === 4,
    OUT_VECTOR: out === 4 ? "vec4f" : "f32",
    OUT_RUNS: tile / out,
  };
}

const matmulKernel = defineKernel({
  name: "matmul",
  code: matmulCode,
  libraries: [threadCode],
  reads: { a: "numbers", b: "numbers", addend: "numbers?" },
  writes: { out: "numbers" },
  params: { M: "u32", N: "u32", K: "u32", a_offset: "u32", b_offset: "u32", out_offset: "u32" },
  constants: { WORKGROUP: 8 },
  groups: ({ M, N }, { TILE, WORKGROUP }) =>
    ceilDiv(ceilDiv(M, Number(TILE)) * ceilDiv(N, Number(TILE)), Number(WORKGROUP)),
});

const blockKernel = memoize((block: Block) => matmulKernel.with(blockConstants(block)));

/** matmul() without barriers, for software adapters. */
export function matmulPortable(
  r: Recorder,
  mode: MatmulMode,
  { a, b, target, addend }: MatmulOperands,
  size: MatmulSize,
): void {
  const params = { a_offset: 0, b_offset: 0, out_offset: 0, ...size };
  const kernel = blockKernel({ ...blockFor(r.target, mode, params), accumulate: target.accumulate && !addend });
  r.run(kernel, { a, b, addend, out: target.tensor }, params);
}

/** The fewest large blocks: fewer leave a core without work. */
const LARGE_BLOCKS = 16;

/** Longest K of small turns: llvmpipe (Mesa 22.3) ends a thread's loops after 65 535 turns, without an error. */
const LONG_K = 4 * 65_000;

/** Chooses large blocks if they fit evenly and are enough; their code takes seconds to compile if they have edges. */
function blockFor(
  target: KernelTarget,
  mode: MatmulMode,
  { M, N, K, a_offset, b_offset, out_offset }: Required<MatmulSize>,
): Omit<Block, "accumulate"> {
  const isLarge = target !== "portable_small" && M % 16 === 0 && N % 16 === 0 && (M / 16) * (N / 16) >= LARGE_BLOCKS;
  const tile = isLarge ? 16 : 8;
  const unroll = K > LONG_K ? 16 : 4;
  const width = (row: number, offset: number): 1 | 4 => (row % 4 === 0 && offset % 4 === 0 ? 4 : 1);
  return {
    mode,
    tile,
    a: width(mode === "TN" ? M : K, a_offset),
    b: width(mode === "NT" ? K : N, b_offset),
    out: width(N, out_offset),
    edge: M % tile !== 0 || N % tile !== 0,
    unroll,
    tail: K % unroll !== 0,
  };
}
