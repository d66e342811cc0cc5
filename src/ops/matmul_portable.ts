import { ceilDiv, defineKernel } from "../gpu/kernel.ts";
import type { KernelTarget } from "../gpu/device.ts";
import { memoize } from "../gpu/memoize.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { Recorder } from "../plan/recorder.ts";
import type { MatmulMode, MatmulOperands, MatmulSize } from "./matmul_operands.ts";
import { type Block, blockText } from "./matmul_text.ts";
import { UNPACK_LIBRARIES } from "./weight_formats.ts";
import matmulCode from "../../shaders/matmul.wgsl" with { type: "text" };
import loadWeight4Code from "../../shaders/lib/load_weight4.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const definition = {
  code: matmulCode,
  libraries: [threadCode, ...UNPACK_LIBRARIES, loadWeight4Code],
  params: { M: "u32", N: "u32", K: "u32", a_offset: "u32", b_offset: "u32", out_offset: "u32" },
  constants: {
    WORKGROUP: 8,
    ACCUMULATE: false,
    ADD: false,
    STORED: "b",
    NUMBERS: "(params.N * params.K)",
    ...blockText({ mode: "NT", tile: 8, a: 4, b: 4, format: "f32", out: 4, edge: true, unroll: 4, tail: false }),
  },
  groups: ({ M, N }: { M: number; N: number }, { TILE, WORKGROUP }: Constants) =>
    ceilDiv(ceilDiv(M, Number(TILE)) * ceilDiv(N, Number(TILE)), Number(WORKGROUP)),
} as const;
const matmulKernel = defineKernel({
  ...definition,
  name: "matmul",
  bindings: { a: "read", b: "read", out: "read_write" },
});
const matmulAddKernel = defineKernel({
  ...definition,
  name: "matmul_add",
  bindings: { a: "read", b: "read", addend: "read", out: "read_write" },
  constants: { ...definition.constants, ADD: true },
});

const assigningBlock = memoize((block: Block) => matmulKernel.with(blockText(block)));
const accumulatingBlock = memoize((block: Block) => matmulKernel.with({ ...blockText(block), ACCUMULATE: true }));
const addingBlock = memoize((block: Block) => matmulAddKernel.with(blockText(block)));

/** matmul() without barriers, for software adapters. */
export function matmulPortable(r: Recorder, mode: MatmulMode, operands: MatmulOperands, size: MatmulSize): void {
  const { a, b, target, addend } = operands;
  const params = { a_offset: 0, b_offset: 0, out_offset: 0, ...size };
  const block = { ...blockFor(r.target, mode, params), format: b.type };
  if (addend) r.run(addingBlock(block), { a, b, addend, out: target.tensor }, params);
  else {r.run(
      target.accumulate ? accumulatingBlock(block) : assigningBlock(block),
      { a, b, out: target.tensor },
      params,
    );}
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
): Omit<Block, "format"> {
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
