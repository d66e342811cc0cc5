// Dropout of attention's probabilities, with the masks of the host's generator.

import { assert, assertClose, assertEquals, assertThrows, random, test } from "../harness.ts";
import {
  attention as reference,
  attentionBackward,
  attentionScales,
  type AttentionSize,
  type Operands,
} from "../reference/attention.ts";
import type { Reals } from "../reference/ops.ts";
import { TOLERANCES } from "../tolerances.ts";
import { purposeKey } from "../../src/random/philox.ts";
import { attention } from "../../src/ops/attention.ts";
import { flashAttention } from "../../src/ops/flash_attention.ts";
import { splitColumns } from "../../src/ops/split_columns.ts";
import type { Variable } from "../../src/plan/recorder.ts";
import { attentionCase, bitsOf, documentsOf, type Numbers, type Options } from "./attention_case.ts";
import { type Draw, dropoutFactors, SEED } from "./dropout_factors.ts";
import { checkOps, type OpCase, recordCase, testTargets } from "./run_op.ts";
import { uniform } from "./values.ts";

const dropping = (numbers: Numbers, options: Options = {}): OpCase =>
  attentionCase(numbers, { attention, dropout: { p: 0.3 }, ...options });

test("the reference's dropout: gradients by central differences under one mask", () => {
  const T = 5,
    size = { B: 2, T, H: 2, KV: 1, D: 3 },
    factors = dropoutFactors(2 * 2 * T * T, 0.4),
    documents = documentsOf(2, [[2, 3], [5]]);
  for (const windows of [{}, { causal: false }, { causal: false, documents }]) {
    const full: AttentionSize = { ...size, ...windows, factors }, next = random(4);
    const operands: Operands = {
      q: uniform(next, 2 * T * 6),
      k: uniform(next, 2 * T * 3),
      v: uniform(next, 2 * T * 3),
    };
    const dout = uniform(next, 2 * T * 6), { dq, dk, dv } = attentionBackward(operands, dout, full);
    const loss = (): number => reference(operands, full).reduce((sum, y, i) => sum + y * dout[i]!, 0);
    for (const [values, gradient] of [[operands.q, dq], [operands.k, dk], [operands.v, dv]] as const) {
      const slopes = values.map((value, i) => {
        const at = (x: number): number => (values[i] = x, loss());
        const slope = (at(value + 1e-5) - at(value - 1e-5)) / 2e-5;
        values[i] = value;
        return slope;
      });
      // Truncation and cancellation in f64 leave about 1e-10.
      assertClose(gradient, slopes, { name: `a gradient of ${Object.keys(windows)}`, relative: 1e-6, absolute: 1e-8 });
    }
  }
});

test("attention() with dropout: lengths around the blocks, shared heads, odd widths, rare and frequent", async () => {
  await checkOps([
    ...[1, 2, 3, 5, 8, 17, 33, 65].map((T) => dropping([1 + (T % 2), T, 2, 1, 8])),
    ...([[3, 1], [6, 2], [5, 5]] as const).map(([H, KV]) => dropping([2, 9, H, KV, 8])),
    dropping([2, 11, 3, 1, 5]),
    ...[1e-9, 0.1, 0.9].map((p) => dropping([2, 13, 4, 2, 8], { dropout: { p } })),
  ]);
});

test("attention() with dropout: in both directions, and in documents", async () => {
  await checkOps([
    ...[1, 5, 16, 33].map((T) => dropping([2, T, 4, 2, 8], { causal: false })),
    ...[true, false].flatMap((causal) => [
      dropping([2, 41, 4, 2, 8], { causal, lengths: [[5, 17, 16, 2, 1], [41]] }),
      dropping([3, 19, 3, 3, 8], { causal, lengths: [[12, 7], [7, 12], Array(19).fill(1)] }),
    ]),
  ]);
});

test("attention() with dropout: operands that need no gradient", async () => {
  await checkOps(
    [["q"], ["k"], ["v"], ["q", "k"], ["k", "v"], ["q", "k", "v"]].map((frozen) =>
      dropping([1, 13, 4, 2, 8], { frozen, causal: false })
    ),
  );
});

test("attention() with dropout: another step, micro-batch or name is another mask", async () => {
  const draws: readonly Draw[] = [{}, { step: 4 }, { micro: 1 }, { purpose: "other" }],
    numbers: Numbers = [1, 12, 2, 1, 8];
  const cases = draws.map((draw) => dropping(numbers, { dropout: { p: 0.3, ...draw } }));
  await checkOps(cases);
  for (const target of await testTargets()) {
    const outs = (await bitsOf(cases, target)).map(({ out }) => out!.join());
    assertEquals(new Set(outs).size, draws.length, `four masks, four results (${target})`);
  }
});

test("attention() with p = 0, and outside of training, is the flash kernels' to the bit", async () => {
  const numbers: Numbers = [2, 21, 4, 2, 8];
  for (const options of [{}, { causal: false, lengths: [[9, 12]] }]) {
    const none = dropping(numbers, { ...options, dropout: { p: 0 } }),
      { seeds: _, ...evaluation } = dropping(numbers, options);
    const flash = attentionCase(numbers, { ...options, attention: flashAttention });
    for (const target of await testTargets()) {
      const [zero, evaluated, plain] = await bitsOf([none, evaluation, flash], target);
      assertEquals(zero, plain, `p = 0 (${target})`);
      assertEquals(evaluated!["out"], plain!["out"], `evaluation (${target})`);
      const dropped = recordCase(dropping(numbers, options), target).program.steps.map(({ kernel }) => kernel.name);
      assert(
        dropped.includes("dropout") && !dropped.some((name) => name.startsWith("flash")),
        `with dropout, in training: ${dropped} (${target})`,
      );
    }
  }
});

/** x has queries, keys and values beside each other: a checkpoint may read nothing else that has a gradient. */
test("attention() with dropout under activation checkpointing draws the same mask again", async () => {
  const B = 2, T = 9, H = 2, D = 8, width = H * D, next = random(11), p = 0.4;
  const operands: Operands = {
      q: uniform(next, B * T * width),
      k: uniform(next, B * T * width),
      v: uniform(next, B * T * width),
    },
    dout = uniform(next, B * T * width);
  const size: AttentionSize = {
    B,
    T,
    H,
    KV: H,
    D,
    causal: false,
    factors: dropoutFactors(B * H * T * T, p, { step: 9, micro: 2 }),
  };
  const beside = (...parts: readonly Reals[]): Reals =>
    Float64Array.from({ length: 3 * B * T * width }, (_, i) => {
      const column = i % (3 * width), part = Math.floor(column / width);
      return parts[part]![Math.floor(i / (3 * width)) * width + (column % width)]!;
    });
  const { dq, dk, dv } = attentionBackward(operands, dout, size), scale = attentionScales(operands, dout, size);
  const tolerance = TOLERANCES.attention, terms = T + D;
  await checkOps([{
    name: "attention with dropout, recorded twice",
    variables: { x: { shape: [B * T, 3 * width], values: beside(operands.q, operands.k, operands.v) } },
    inputs: { mask_counter: Uint32Array.of(9, 2) },
    record: (r, { x }, { mask_counter }) => ({
      y: r.checkpoint(x!, (x) => {
        const [q, k, v] = splitColumns(r, x, 3) as [Variable, Variable, Variable];
        return attention(r, q, k, v, {
          B,
          T,
          H,
          KV: H,
          D,
          causal: false,
          dropout: { p, key: purposeKey(SEED, "test"), mask_counter: mask_counter! },
        });
      }),
    }),
    seeds: { y: dout },
    expected: {
      y: { value: reference(operands, size), scale: scale.out, tolerance, terms },
      dx: { value: beside(dq, dk, dv), scale: beside(scale.dq, scale.dk, scale.dv), tolerance, terms },
    },
  }]);
});

test("attention() refuses a share that is none, and documents of another shape, with dropout too", () => {
  for (const p of [1, -0.1, NaN]) {
    assertThrows(
      () => recordCase(dropping([1, 4, 1, 1, 8], { dropout: { p } }), "portable"),
      `with p = ${p}: expected a number from 0, below 1`,
    );
  }
  const one = dropping([2, 4, 1, 1, 8], { lengths: [[4]] });
  assertThrows(
    () => recordCase({ ...one, shapes: { documents: [16] } }, "portable"),
    "must be u32 (8, 2) for B 2, T 4, got u32 (16)",
  );
});
