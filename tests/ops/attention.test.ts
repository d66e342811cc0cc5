import { test } from "../harness.ts";
import { materialisedAttention } from "../../src/ops/materialised_attention.ts";
import { attentionCase, type Numbers } from "./attention_case.ts";
import { checkOps, type OpCase } from "./run_op.ts";

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
  await checkOps([
    attentionCase([1, 33, 2, 1, 16], { range: 10 }),
    attentionCase([2, 19, 2, 2, 8], { range: 30 }),
    attentionCase([1, 20, 1, 1, 5], { range: 30 }),
  ]);
});

test("flashAttention(): over a hundred times the tiles, and with operands that need no gradient", async () => {
  await checkOps([
    attentionCase([1, 315, 1, 1, 16]),
    attentionCase([1, 13, 4, 2, 8], { frozen: ["q"] }),
    attentionCase([1, 13, 4, 2, 8], { frozen: ["k"] }),
    attentionCase([1, 13, 4, 2, 8], { frozen: ["v"] }),
    attentionCase([1, 13, 4, 2, 8], { frozen: ["q", "k"] }),
    attentionCase([1, 13, 4, 2, 8], { frozen: ["k", "v"] }),
  ]);
});

const materialised = (numbers: Numbers, range = 1, frozen: readonly string[] = []): OpCase =>
  attentionCase(numbers, { range, frozen, attention: materialisedAttention });

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
    ...[["q"], ["k"], ["v"], ["q", "k"], ["k", "v"], ["q", "v"]].map((frozen) =>
      materialised([1, 13, 4, 2, 8], 1, frozen)
    ),
  ]);
});
