// A position of attention sees some others: documents packed into one sequence, padding, and both directions.

import { assert, assertClose, assertEquals, assertThrows, random, test } from "../harness.ts";
import {
  attention as reference,
  attentionBackward,
  type AttentionSize,
  type Operands,
} from "../reference/attention.ts";
import type { Reals } from "../reference/ops.ts";
import { attention } from "../../src/ops/attention.ts";
import { flashAttention } from "../../src/ops/flash_attention.ts";
import { materialisedAttention } from "../../src/ops/materialised_attention.ts";
import { Recorder } from "../../src/plan/recorder.ts";
import { tensor } from "../../src/plan/tensor.ts";
import { attentionCase, bitsOf, documentsOf, type Numbers, type Options } from "./attention_case.ts";
import { checkOps, type OpCase, testTargets, type Words } from "./run_op.ts";
import { uniform } from "./values.ts";

// Few widths, and narrow ones: a page's software adapter compiles each kernel for seconds.
/** Odd lengths, so that documents cross blocks and tiles wherever those lie; 144 positions. */
const ODD = [1, 2, 5, 16, 17, 33, 70];
const FORMS = [flashAttention, materialisedAttention];
const together = (numbers: Numbers, options: Options): OpCase[] =>
  FORMS.flatMap((attention) =>
    [true, false].map((causal) => attentionCase(numbers, { ...options, attention, causal }))
  );

test("the reference's windows: gradients by central differences, and each document as if it were alone", () => {
  const T = 6,
    lengths = [[1, 2, 3], [4, 2]],
    size = { B: 2, T, H: 2, KV: 1, D: 3 },
    documents = documentsOf(2, lengths);
  const all = [{ causal: false }, { documents }, { causal: false, documents }, { window: 2 }, { window: 3, documents }];
  for (const windows of all) {
    const full: AttentionSize = { ...size, ...windows }, next = random(3);
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
    if (!("documents" in windows) || "window" in windows) continue;
    const out = reference(operands, full);
    for (const [b, start, end] of [[0, 0, 1], [0, 1, 3], [0, 3, 6], [1, 0, 4], [1, 4, 6]] as const) {
      const part = (values: Reals, width: number): Reals =>
        values.slice((b * T + start) * width, (b * T + end) * width);
      const alone = reference({ q: part(operands.q, 6), k: part(operands.k, 3), v: part(operands.v, 3) }, {
        ...size,
        B: 1,
        T: end - start,
        ...("causal" in windows && { causal: false }),
      });
      assertEquals(part(out, 6), alone, `sequence ${b}, document from ${start}`);
    }
  }
});

test("attention in both directions: lengths around the tiles, heads and widths", async () => {
  const both = (...numbers: Numbers): OpCase[] =>
    FORMS.map((attention) => attentionCase(numbers, { attention, causal: false }));
  await checkOps([
    ...[1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 130].flatMap((T, i) => both(1 + (i % 3), T, 2, 1, 8)),
    ...([[1, 1], [3, 1], [6, 2], [5, 5]] as const).flatMap(([H, KV]) => both(2, 9, H, KV, 8)),
    ...[5, 40].flatMap((D) => both(1, 11, 2, 1, D)),
  ]);
});

test("documents of odd lengths across blocks and tiles, each sequence with its own", async () => {
  await checkOps([
    ...together([2, 144, 2, 1, 8], { lengths: [ODD, ODD.toReversed()] }),
    ...together([3, 41, 2, 2, 8], { lengths: [[5, 17, 16, 2, 1], [41], Array(41).fill(1)] }),
    ...together([1, 66, 6, 2, 8], { lengths: [[63, 1, 2]] }),
    attentionCase([1, 29, 3, 1, 5], { lengths: [[17, 1, 11]] }),
    attentionCase([1, 12, 2, 1, 40], { lengths: [[5, 7]], causal: false }),
    ...together([2, 1, 2, 1, 8], { lengths: [[1]] }),
    attentionCase([1, 20, 4, 2, 8], { lengths: [[7, 13]], frozen: ["q"] }),
    attentionCase([1, 20, 4, 2, 8], { lengths: [[7, 13]], frozen: ["k", "v"], causal: false }),
  ]);
  // Heads whose rows several threads share.
  await checkOps([attentionCase([1, 70, 2, 1, 96], { lengths: [[1, 40, 29]] })], ["tiled"]);
});

test("a sliding window: each position sees the last few, within its document", async () => {
  const slide = (numbers: Numbers, options: Options): OpCase[] =>
    FORMS.map((attention) => attentionCase(numbers, { ...options, attention }));
  await checkOps([
    ...slide([2, 144, 2, 1, 8], { window: 1 }),
    ...slide([2, 144, 2, 1, 8], { window: 20 }),
    ...slide([2, 144, 2, 1, 8], { window: 64, lengths: [ODD, ODD.toReversed()] }),
    ...slide([1, 41, 4, 2, 8], { window: 40 }),
    attentionCase([1, 29, 3, 1, 5], { window: 4, lengths: [[17, 1, 11]] }),
  ]);
  for (const target of await testTargets()) {
    const [none, long] = await bitsOf(
      [attentionCase([1, 70, 2, 1, 8]), attentionCase([1, 70, 2, 1, 8], { window: 70 })],
      target,
    );
    assertEquals(long, none, `a window of the whole sequence (${target})`);
  }
  const r = new Recorder({ target: "portable", training: false });
  const x = { value: tensor("x", [8, 8], "activation"), needsGradient: false };
  for (const [bad, told] of [[{ window: 0 }, "a window of 0:"], [{ window: 2, causal: false }, "in both directions"]]) {
    const size = { B: 1, T: 8, H: 1, KV: 1, D: 8, ...bad as { window: number } };
    assertThrows(() => attention(r, x, x, x, size), told as string);
  }
});

test("padding to the right and to the left", async () => {
  await checkOps(together([3, 37, 2, 1, 8], { lengths: [[30, 7], [7, 30], [36, 1]] }));
});

test("documents whose scores are far below those of their neighbours", async () => {
  const lengths = [[3, 18, 1, 11]], numbers: Numbers = [2, 33, 2, 1, 8];
  // The first document's q and k are times 1000: a softmax that looked across would see 1e6 there.
  const edit = ({ q, k }: Operands, { T, H, KV, D }: AttentionSize): void => {
    for (const [values, width] of [[q, H * D], [k, KV * D]] as const) {
      for (let b = 0; b < 2; b++) {
        for (let i = 0; i < 3 * width; i++) values[b * T * width + i]! *= 1024;
      }
    }
  };
  const later = (one: OpCase): OpCase => ({ ...one, name: `${one.name}, the first document times 1024` });
  await checkOps([...together(numbers, { lengths, range: 10 }), ...together(numbers, { lengths, edit }).map(later)]);
});

test("one document that fills the sequence gives the bits of none", async () => {
  const pair = (numbers: Numbers, causal: boolean): OpCase[] =>
    FORMS.flatMap((
      attention,
    ) => [
      attentionCase(numbers, { attention, causal }),
      attentionCase(numbers, { attention, causal, lengths: [[numbers[1]]] }),
    ]);
  const cases = [...pair([2, 70, 4, 2, 8], true), ...pair([2, 70, 4, 2, 8], false), ...pair([1, 19, 2, 1, 8], true)];
  for (const target of await testTargets()) {
    const bits = await bitsOf(cases, target);
    for (let i = 0; i < cases.length; i += 2) assertEquals(bits[i + 1], bits[i], `${cases[i + 1]!.name} (${target})`);
  }
});

test("what happens in one document changes no bit of another's outputs and gradients", async () => {
  const lengths = [5, 17, 2, 40], ends = [5, 22, 24, 64], T = 64, H = 4, KV = 2, D = 8;
  const changed = (which: number) => ({ q, k, v }: Operands): void => {
    const next = random(which + 1), length = lengths[which]!, start = ends[which]! - length;
    for (const [values, width] of [[q, H * D], [k, KV * D], [v, KV * D]] as const) {
      values.set(uniform(next, length * width, 100), start * width);
    }
  };
  for (const target of await testTargets()) {
    for (const attention of FORMS) {
      for (const causal of [true, false]) {
        const caseOf = (edit?: Options["edit"]): OpCase =>
          attentionCase([1, T, H, KV, D], { attention, causal, lengths: [lengths], ...(edit && { edit }) });
        const [before, ...after] = await bitsOf(
          [caseOf(), ...lengths.map((_, which) => caseOf(changed(which)))],
          target,
        );
        for (const [which, bits] of after.entries()) {
          for (const [name, words] of Object.entries(bits)) {
            const width = words.length / T, old = before![name]!, end = ends[which]!;
            const outside = (
              of: Words,
            ): number[] => [...of.subarray(0, (end - lengths[which]!) * width), ...of.subarray(end * width)];
            assertEquals(
              outside(words),
              outside(old),
              `${name} outside document ${which}, causal ${causal} (${attention.name}, ${target})`,
            );
            assert(
              words.some((word, i) => word !== old[i]),
              `${name} of document ${which} must change (${attention.name}, ${target})`,
            );
          }
        }
      }
    }
  }
});

test(
  "a row counts nothing before its first key: enormous values in the document before " +
    "leave no infinity",
  async () => {
    const numbers: Numbers = [1, 70, 2, 1, 8], lengths = [[5, 65]], end = 5 * 2 * 8;
    const forwardOf = (options: Options): OpCase => {
      // Backward, the products of these values with the gradients would overflow.
      const { seeds: _, ...forward } = attentionCase(numbers, { lengths, ...options });
      return forward;
    };
    for (const target of await testTargets()) {
      const [before, after] = await bitsOf(
        [forwardOf({}), forwardOf({ edit: ({ v }) => void v.fill(3e38, 0, 5 * 8) })],
        target,
      );
      assertEquals(after!["out"]!.subarray(end), before!["out"]!.subarray(end), target);
    }
  },
);

test(
  "attention() refuses documents of another shape or type, and holds the probabilities of short sequences on " +
    "software adapters alone",
  () => {
    const size = { B: 2, T: 4, H: 1, KV: 1, D: 64 };
    const record = (
      shape: readonly number[] | undefined,
      type: "u32" | "f32" = "u32",
      causal = true,
      target: Recorder["target"] = "portable",
    ): string[] => {
      const r = new Recorder({ target, training: true });
      const [q, k, v] = ["q", "k", "v"].map((name) => ({
        value: tensor(name, [8, 64], "trainable"),
        needsGradient: true,
      }));
      attention(r, q!, k!, v!, {
        ...size,
        causal,
        ...(shape && { documents: tensor("documents", shape, "input", type) }),
      });
      return r.steps.map(({ kernel }) => kernel.name);
    };
    assertThrows(() => record([8]), "must be u32 (8, 2) for B 2, T 4, got u32 (8)");
    assertThrows(() => record([8, 2], "f32"), "got f32 (8, 2)");
    assertThrows(() => record([2, 4, 2]), "got u32 (2, 4, 2)");
    for (const shape of [[8, 2], undefined]) {
      for (const causal of [true, false]) {
        assertEquals(record(shape, "u32", causal), ["attention_scores", "softmax", "attention_values"]);
        assertEquals(record(shape, "u32", causal, "tiled"), ["flash_attention_tiled"]);
      }
    }
  },
);
