import type { Constants } from "../gpu/preprocess.ts";
import type { MatmulMode } from "./matmul_operands.ts";
import type { ElementType } from "../plan/tensor.ts";
import { formatConstants } from "./weight_formats.ts";
import { range, repeatLines } from "./codegen.ts";

/** A specialisation of the portable matmul. */
export interface Block {
  readonly mode: MatmulMode;
  /** Rows and columns of the block that one thread computes. */
  readonly tile: number;
  /** Width of the vectors that each tensor is bound as: 4 where its rows divide, else 1. */
  readonly a: 1 | 4;
  readonly b: 1 | 4;
  /** Storage format of B. In all but f32 its vectors have four numbers. */
  readonly format: ElementType;
  readonly out: 1 | 4;
  /** True if M or N is not a multiple of the tile. */
  readonly edge: boolean;
  /** Values of k in one turn of the loop. */
  readonly unroll: number;
  /** True if K is not a multiple of `unroll`. */
  readonly tail: boolean;
}

const vector = (width: 1 | 4): string => (width === 4 ? "vec4f" : "f32");
/** Number i of a run of vectors called `name0`, `name1`, … or of scalars. */
const component = (
  name: string,
  i: number,
  width: 1 | 4,
): string => (width === 4 ? `${name}${i >> 2}.${"xyzw"[i & 3]}` : `${name}${i}`);

/** The unrolled text of shaders/matmul.wgsl. */
export function blockText(block: Block): Constants {
  const { tile, unroll } = block;
  return {
    MODE: block.mode,
    TILE: tile,
    UNROLL: unroll,
    A_VECTOR: vector(block.a),
    ...formatConstants(block.format),
    B_VECTOR: block.format === "f32" ? vector(block.b) : formatConstants(block.format).WEIGHT4!,
    OUT_VECTOR: vector(block.out),
    TAIL: block.tail,
    STARTS: [
      starts(block, "a"),
      starts(block, "b"),
      repeatLines(tile, (i) => range(tile).map((j) => `  var c${i}_${j} = 0.0;`).join("")),
    ].join("\n"),
    STEP: step(block, unroll),
    STEP_ONE: block.tail ? step(block, 1) : "",
    STORE: store(block),
  };
}

/** True if an operand's rows run along k: A of NT and NN, B of NT. Otherwise its rows run along the block. */
const alongK = ({ mode }: Block, operand: "a" | "b"): boolean => (operand === "a" ? mode !== "TN" : mode === "NT");

/**
 * Starts of the block's rows (along k) or columns (across k), in vectors. They are clamped at the edge once, outside
 * the loop.
 */
function starts(block: Block, operand: "a" | "b"): string {
  const width = block[operand];
  const [first, end, offset] = operand === "a"
    ? ["row", "params.M", "params.a_offset"]
    : ["column", "params.N", "params.b_offset"];
  const clamp = (index: string, limit: string): string => (block.edge ? `min(${index}, ${limit} - 1u)` : `(${index})`);
  if (alongK(block, operand)) {
    return repeatLines(
      block.tile,
      (i) => `  let ${operand}_at${i} = (${offset} + ${clamp(`${first} + ${i}u`, end)} * params.K) / ${width}u;`,
    );
  }
  return repeatLines(
    block.tile / width,
    (i) =>
      `  let ${operand}_at${i} = ${offset} / ${width}u + ${
        clamp(`${first} / ${width}u + ${i}u`, `${end} / ${width}u`)
      };`,
  );
}

/**
 * Loads of one operand for `unroll` values of k. Across k, `name{k}_{i}` is vector i of the block; along k,
 * `name{i}_{q}` is vector q of row i.
 */
function loads(block: Block, operand: "a" | "b", unroll: number, i: number): string {
  const width = block[operand];
  const load = (
    at: string,
  ): string => (operand === "b" && block.format !== "f32" ? `load_weight4(${at})` : `${operand}[${at}]`);
  if (!alongK(block, operand)) {
    const row = operand === "a" ? "params.M" : "params.N";
    return repeatLines(
      unroll,
      (k) => `    let ${operand}${k}_${i} = ${load(`${operand}_at${i} + (k + ${k}u) * ${row} / ${width}u`)};`,
    );
  }
  return repeatLines(
    unroll / width,
    (q) => `    let ${operand}${i}_${q} = ${load(`${operand}_at${i} + k / ${width}u + ${q}u`)};`,
  );
}

/**
 * Loads all of B's part of the block, then one row of A at a time, so that few values live across the loads. The
 * products of an element over the unrolled k are added in one expression.
 */
function step(block: Block, unroll: number): string {
  const { tile } = block;
  const value = (operand: "a" | "b", i: number, k: number): string =>
    alongK(block, operand)
      ? component(`${operand}${i}_`, k, block[operand])
      : component(`${operand}${k}_`, i, block[operand]);
  const bRuns = alongK(block, "b") ? tile : tile / block.b;
  const text = range(bRuns).map((j) => loads(block, "b", unroll, j));
  const aRuns = alongK(block, "a") ? 1 : block.a;
  for (let i = 0; i < tile; i++) {
    if (i % aRuns === 0) text.push(loads(block, "a", unroll, i / aRuns));
    for (let j = 0; j < tile; j++) {
      text.push(
        `    c${i}_${j} = ${
          range(unroll).reduce(
            (sum, k) => `${k > 0 ? `(${sum})` : sum} + ${value("a", i, k)} * ${value("b", j, k)}`,
            `c${i}_${j}`,
          )
        };`,
      );
    }
  }
  return text.join("\n");
}

function store({ tile, out, edge }: Block): string {
  const guard = (condition: string, text: string): string => (edge ? `if (${condition}) { ${text} }` : text);
  return repeatLines(tile, (i) => {
    const stores = repeatLines(tile / out, (j) => {
      const numbers = range(out).map((q) => `c${i}_${j * out + q}`).join(", ");
      return `    ${guard(`column + ${j * out}u < params.N`, `put(out${i} + ${j}u, ${vector(out)}(${numbers}));`)}`;
    });
    return `  let out${i} = (params.out_offset + (row + ${i}u) * params.N + column) / ${out}u;
  ${guard(`row + ${i}u < params.M`, `\n${stores}\n  `)}`;
  });
}
