// Cases of attention against its f64 reference, for the tests of its kernels and of its windows.

import { random } from "../harness.ts";
import {
  attention as reference,
  attentionBackward,
  attentionScales,
  type AttentionSize,
  type Operands,
} from "../reference/attention.ts";
import { TOLERANCES } from "../tolerances.ts";
import { defineKernel } from "../../src/gpu/kernel.ts";
import { purposeKey } from "../../src/random/philox.ts";
import { flashAttention } from "../../src/ops/flash_attention.ts";
import { Executor } from "../../src/plan/executor.ts";
import { planMemory } from "../../src/plan/memory.ts";
import type { Recorder } from "../../src/plan/recorder.ts";
import type { Tensor } from "../../src/plan/tensor.ts";
import { type Draw, dropoutFactors, SEED } from "./dropout_factors.ts";
import { type Expected, type OpCase, recordCase, type Words } from "./run_op.ts";
import { uniform } from "./values.ts";
import { testGpu } from "../test_gpu.ts";

export type Numbers = readonly [B: number, T: number, H: number, KV: number, D: number];

export interface Options {
  /** Scale of queries and keys. Default 1. */
  readonly range?: number;
  /** Operands that need no gradient. */
  readonly frozen?: readonly string[];
  /** Both forms are called by name: attention() chooses one by size and adapter. Default flashAttention. */
  readonly attention?: typeof flashAttention;
  readonly causal?: boolean;
  /** Positions that a position sees. Default: all. */
  readonly window?: number;
  /** Lengths of the documents of each sequence. Sequences beyond take them from the start again. */
  readonly lengths?: readonly (readonly number[])[];
  /** A share p of the probabilities is dropped. */
  readonly dropout?: Draw & { readonly p: number };
  /** Changes the operands before anything else sees them. */
  readonly edit?: (operands: Operands, size: AttentionSize) => void;
}

/** (B, T, 2): start and end of the document around each position. */
export const documentsOf = (B: number, lengths: readonly (readonly number[])[]): Words =>
  Uint32Array.from(
    Array.from({ length: B }, (_, b) => {
      const own = lengths[b % lengths.length]!;
      let end = 0;
      return own.flatMap((length) => (end += length, Array.from({ length }, () => [end - length, end]).flat()));
    }).flat(),
  );

export function attentionCase([B, T, H, KV, D]: Numbers, options: Options = {}): OpCase {
  const { range = 1, frozen = [], attention = flashAttention, causal = true, window, lengths, dropout: draw, edit } =
    options;
  const next = random(B * 7919 + T * 131 + H * 17 + KV * 3 + D), documents = lengths && documentsOf(B, lengths);
  const size: AttentionSize = {
    B,
    T,
    H,
    KV,
    D,
    causal,
    ...(window !== undefined && { window }),
    ...(documents && { documents }),
    ...(draw && { factors: dropoutFactors(B * H * T * T, draw.p, draw) }),
  };
  const operands: Operands = {
    q: uniform(next, B * T * H * D, range),
    k: uniform(next, B * T * KV * D, range),
    v: uniform(next, B * T * KV * D),
  };
  const dout = uniform(next, B * T * H * D);
  edit?.(operands, size);
  const value = { out: reference(operands, size), ...attentionBackward(operands, dout, size) },
    scale = attentionScales(operands, dout, size);
  const close = (name: keyof typeof scale): Expected => ({
    value: value[name],
    scale: scale[name],
    tolerance: TOLERANCES.attention,
    terms: T + D,
  });
  const variable = (name: keyof Operands, heads: number) => ({
    shape: [B * T, heads * D],
    values: operands[name],
    frozen: frozen.includes(name),
  });
  const gradients = (["dq", "dk", "dv"] as const).filter((name) => !frozen.includes(name.slice(1)));
  const more = [
    frozen.length > 0 && `frozen ${frozen}`,
    !causal && "both directions",
    window !== undefined && `window ${window}`,
    lengths && `documents of ${lengths.map((own) => own.join("+")).join(" and ")}`,
    draw && `dropout ${Object.values(draw).join(" ")}`,
  ];
  const { p = 0, purpose = "test", step = 3, micro = 0 } = draw ?? {};
  return {
    name: [`${attention.name} B ${B}, T ${T}, H ${H}, KV ${KV}, D ${D}, +-${range}`, ...more.filter(Boolean)].join(
      ", ",
    ),
    variables: { q: variable("q", H), k: variable("k", KV), v: variable("v", KV) },
    inputs: { ...(documents && { documents }), ...(draw && { mask_counter: Uint32Array.of(step, micro) }) },
    shapes: { documents: [B * T, 2] },
    record: (r, { q, k, v }, { documents, mask_counter }) => {
      const dropout = mask_counter && { p, key: purposeKey(SEED, purpose), mask_counter };
      return {
        out: attention(r, q!, k!, v!, { B, T, H, KV, D, causal, window, ...(documents && { documents }), dropout }),
      };
    },
    seeds: { out: dout },
    expected: { out: close("out"), ...Object.fromEntries(gradients.map((name) => [name, close(name)])) },
  };
}

const keep = defineKernel({ name: "keep", code: "", reads: {}, writes: {}, params: {}, groups: () => 1 })
  .bind({});

/** The bits of each case's outputs and gradients. A last step that is planned, not run, keeps them apart. */
export async function bitsOf(
  cases: readonly OpCase[],
  target: Recorder["target"],
): Promise<readonly Readonly<Record<string, Words>>[]> {
  const recorded = cases.map((one) => recordCase(one, target)), programs = recorded.map(({ program }) => program);
  const plan = planMemory(recorded.map(({ program: { name, steps }, outputs }) => {
    return {
      name,
      steps: [...steps, {
        kernel: keep,
        tensors: Object.values(outputs),
        params: {},
        dispatchSize: [1, 1, 1] as const,
      }],
    };
  }));
  const executor = await Executor.create(await testGpu(), { ...plan, programs });
  try {
    const read = async ([name, output]: [string, Tensor]) => [name, await executor.readWords(output)] as const;
    // Cases share memory, so one is read before the next runs.
    return await Promise.all(recorded.map(async ({ program, written, outputs }) => {
      for (const [target, data] of written) if (plan.location.has(target)) executor.write(target, data);
      executor.run(program);
      return Object.fromEntries(await Promise.all(Object.entries(outputs).map(read)));
    }));
  } finally {
    executor.destroy();
  }
}
