import { random, test } from "../harness.ts";
import { attention as reference, attentionBackward, attentionScales, type AttentionSize, type Operands } from "../reference/attention.ts";
import { TOLERANCES } from "../tolerances.ts";
import { flashAttention } from "../../src/ops/flash_attention.ts";
import { materialisedAttention } from "../../src/ops/materialised_attention.ts";
import { checkOps, type Expected, type OpCase } from "./run_op.ts";
import { uniform } from "./values.ts";

type Numbers = readonly [B: number, T: number, H: number, KV: number, D: number];

/** Both forms are called by name: attention() chooses one by size and adapter. */
function attentionCase([B, T, H, KV, D]: Numbers, range = 1, frozen: readonly string[] = [], attention = flashAttention): OpCase {
  const next = random(B * 7919 + T * 131 + H * 17 + KV * 3 + D), size: AttentionSize = { B, T, H, KV, D };
  const operands: Operands = { q: uniform(next, B * T * H * D, range), k: uniform(next, B * T * KV * D, range), v: uniform(next, B * T * KV * D) };
  const dout = uniform(next, B * T * H * D);
  const value = { out: reference(operands, size), ...attentionBackward(operands, dout, size) }, scale = attentionScales(operands, dout, size);
  const close = (name: keyof typeof scale): Expected => ({ value: value[name], scale: scale[name], tolerance: TOLERANCES.attention, terms: T + D });
  const variable = (name: keyof Operands, heads: number) => ({ shape: [B * T, heads * D], values: operands[name], frozen: frozen.includes(name) });
  const gradients = (["dq", "dk", "dv"] as const).filter((name) => !frozen.includes(name.slice(1)));
  return {
    name: `${attention.name} B ${B}, T ${T}, H ${H}, KV ${KV}, D ${D}, +-${range}${frozen.length > 0 ? `, frozen ${frozen}` : ""}`,
    variables: { q: variable("q", H), k: variable("k", KV), v: variable("v", KV) },
    record: (r, { q, k, v }) => ({ out: attention(r, q!, k!, v!, size) }),
    seeds: { out: dout },
    expected: { out: close("out"), ...Object.fromEntries(gradients.map((name) => [name, close(name)])) },
  };
}

test("flashAttention(): out, dq, dk and dv at every length around the tiles", async () => {
  const lengths = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65];
  await checkOps(lengths.map((T, i) => attentionCase([1 + (i % 3), T, 2, 1, 8])));
});

test("flashAttention(): heads that share keys, all or none, an odd number of them", async () => {
  const heads = [[1, 1], [2, 2], [2, 1], [3, 1], [6, 2], [5, 5], [12, 3], [7, 1]] as const;
  await checkOps(heads.map(([H, KV]) => attentionCase([2, 9, H, KV, 4])));
});

test("flashAttention(): heads of any width", async () => {
  await checkOps([1, 3, 32, 64].map((D) => attentionCase([1, 11, 2, 1, D])));
  // llvmpipe needs 8 s to compile the registers of a portable head of 128.
  await checkOps([attentionCase([1, 11, 2, 1, 128]), attentionCase([1, 70, 2, 1, 96])], ["tiled"]);
});

test("flashAttention(): scores of hundreds, where the softmax is nearly one-hot", async () => {
  await checkOps([attentionCase([1, 33, 2, 1, 16], 10), attentionCase([2, 19, 2, 2, 8], 30), attentionCase([1, 20, 1, 1, 5], 30)]);
});

test("flashAttention(): over a hundred times the tiles, and with operands that need no gradient", async () => {
  await checkOps([
    attentionCase([1, 315, 1, 1, 16]),
    attentionCase([1, 13, 4, 2, 8], 1, ["q"]),
    attentionCase([1, 13, 4, 2, 8], 1, ["k"]),
    attentionCase([1, 13, 4, 2, 8], 1, ["v"]),
    attentionCase([1, 13, 4, 2, 8], 1, ["q", "k"]),
    attentionCase([1, 13, 4, 2, 8], 1, ["k", "v"]),
  ]);
});

const materialised = (numbers: Numbers, range = 1, frozen: readonly string[] = []): OpCase => attentionCase(numbers, range, frozen, materialisedAttention);

test("materialisedAttention(): lengths, heads and widths around the tiles", async () => {
  await checkOps([
    ...[1, 2, 3, 7, 8, 9, 16, 17, 33, 65, 128].map((T) => materialised([1 + (T % 2), T, 2, 1, 8])),
    ...([[1, 1], [2, 2], [3, 1], [6, 2], [5, 5]] as const).map(([H, KV]) => materialised([2, 12, H, KV, 4])),
    ...[1, 3, 6, 64, 65].map((D) => materialised([1, 11, 2, 1, D])),
    materialised([1, 128, 2, 1, 64]),
  ]);
});

test("materialisedAttention(): scores of hundreds, and operands that need no gradient", async () => {
  await checkOps([
    materialised([1, 33, 2, 1, 16], 10),
    materialised([2, 19, 2, 2, 8], 30),
    ...[["q"], ["k"], ["v"], ["q", "k"], ["k", "v"], ["q", "v"]].map((frozen) => materialised([1, 13, 4, 2, 8], 1, frozen)),
  ]);
});
