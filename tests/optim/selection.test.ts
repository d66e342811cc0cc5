// Masks drawn on the device, and the way to selected elements and back.

import { assert, assertEquals, random, test } from "../harness.ts";
import type { Words } from "../ops/run_op.ts";
import { uniform } from "../ops/values.ts";
import { floats, portable, stepInputWords, withPrograms, words } from "./basis/run_basis.ts";
import { unpackMask } from "./run_optimizer.ts";
import { purposeKey } from "../../src/random/philox.ts";
import { stepInputsTensor } from "../../src/optim/step/step_inputs.ts";
import { gather, maskSelection, randomMask, scatter, type SelectionKind } from "../../src/optim/split/selection.ts";
import { packSelection, randomSubset } from "../../src/optim/split/subset.ts";
import type { Recorder } from "../../src/plan/recorder.ts";
import type { Tensor } from "../../src/plan/tensor.ts";

interface Draw {
  readonly count: number;
  readonly drawn: number;
}

/** The mask of each draw among n elements, by purpose. */
async function masks(n: number, draws: readonly Draw[], purpose = "mask"): Promise<Words[]> {
  const mask = words("mask", Math.ceil(n / 32)), step_inputs = stepInputsTensor("step inputs");
  return withPrograms(
    await portable(),
    [(r) => randomMask(r, mask, step_inputs, n, purposeKey(3, purpose))],
    async (executor, [program]) => {
      // A read is queued at once, before the next draw: nobody has to wait for it.
      return Promise.all(draws.map((draw) => {
        executor.write(mask, new Uint32Array(mask.shape[0]!).fill(0xdeadbeef));
        executor.write(step_inputs, stepInputWords(draw));
        executor.run(program!);
        return executor.readWords(mask);
      }));
    },
  );
}

function ones(mask: Words): number {
  let count = 0;
  for (const word of mask) for (let rest = word; rest; rest = (rest & (rest - 1)) >>> 0) count++;
  return count;
}

test("randomMask() sets exactly so many bits, none beyond the last element", async () => {
  for (const n of [1, 31, 32, 33, 60, 1000, 1376 * 512]) {
    const counts = [0, 1, Math.floor(n / 4), n - 1, n];
    const drawn = await masks(n, counts.map((count, i) => ({ count, drawn: 7 * i })));
    assertEquals(drawn.map(ones), counts, `${n} elements`);
    const beyond = n % 32 === 0 ? 0 : ~((1 << n % 32) - 1);
    for (const mask of drawn) assertEquals(mask.at(-1)! & beyond, 0, `${n} elements: bits beyond the last`);
  }
});

test("randomMask(): each element equally often, and each pair of neighbours", async () => {
  const draws = 1000;
  for (const [n, count] of [[3, 1], [5, 2], [16, 4], [17, 8], [60, 15]] as const) {
    const times = new Array<number>(n).fill(0), pairs = new Array<number>(n - 1).fill(0);
    for (const mask of await masks(n, Array.from({ length: draws }, (_, drawn) => ({ count, drawn })))) {
      const chosen = new Set(unpackMask(mask, n));
      for (const i of chosen) {
        times[i] = times[i]! + 1;
        if (chosen.has(i + 1)) pairs[i] = pairs[i]! + 1;
      }
    }
    const within = (counts: readonly number[], p: number): boolean =>
      counts.every((k) => Math.abs(k - draws * p) <= 5 * Math.sqrt(draws * p * (1 - p)));
    assert(within(times, count / n), `${count} of ${n}: times ${times.join()}`);
    assert(within(pairs, (count * (count - 1)) / (n * (n - 1))), `${count} of ${n}: pairs ${pairs.join()}`);
  }
});

test(
  "randomMask(): other draws and purposes give other masks, the same ones the same; a larger count adds to a " +
    "smaller one",
  async () => {
    const n = 1000,
      draws = [{ count: 250, drawn: 0 }, { count: 250, drawn: 0 }, { count: 250, drawn: 200 }, {
        count: 500,
        drawn: 0,
      }];
    const [first, again, later, more] = await masks(n, draws) as [Words, Words, Words, Words];
    const [other] = await masks(n, [{ count: 250, drawn: 0 }], "another") as [Words];
    assertEquals(again, first);
    const common = (a: Words, b: Words): number => ones(a.map((word, i) => word & b[i]!));
    // A quarter of a quarter is 62.5, with a deviation of 5.9.
    for (const [name, mask] of [["another step", later], ["another purpose", other]] as const) {
      assert(Math.abs(common(first, mask) - 62.5) < 5 * 5.9, `${name}: ${common(first, mask)} in common`);
    }
    assertEquals(common(first, more), 250);
  },
);

test("maskSelection(): the words, each with the number of ones before it", async () => {
  for (const length of [1, 2, 63, 64, 65, 5000]) {
    const next = random(length), mask = words("mask", length);
    let selection: Tensor | undefined;
    const values = Uint32Array.from({ length }, () => Math.floor(next() * 2 ** 32) & Math.floor(next() * 2 ** 32));
    await withPrograms(
      await portable(),
      [(r) => void (selection = maskSelection(r, mask))],
      async (executor, [program]) => {
        executor.write(mask, values);
        executor.run(program!);
        const expected: number[] = [];
        let before = 0;
        for (const word of values) {
          expected.push(word, before);
          before += ones(Uint32Array.of(word));
        }
        assertEquals(await executor.readWords(selection!), Uint32Array.from(expected), `${length} words`);
      },
    );
  }
});

/** The selection of a matrix (m, n). */
interface Case {
  readonly kind: SelectionKind;
  readonly m: number;
  readonly n: number;
  readonly count: number;
}

const CASES: readonly Case[] = (["columns", "rows", "randk"] as const).flatMap((kind) =>
  ([[12, 8], [7, 9], [40, 33], [33, 40], [1, 70], [70, 1]] as const).flatMap(([m, n]) => {
    const total = { columns: n, rows: m, randk: m * n }[kind];
    return [0, 1, Math.floor(0.4 * total), total].map((count) => ({ kind, m, n, count }));
  })
);

/** Which elements are selected, in row-major order. */
function places({ kind, m, n }: Case, chosen: Uint32Array): number[] {
  const set = new Set(chosen);
  return [...Array(m * n).keys()].filter((i) => set.has({ columns: i % n, rows: Math.floor(i / n), randk: i }[kind]));
}

/** A case on the device: gathered, scattered, added. */
function prepare(one: Case) {
  const { kind, m, n, count } = one,
    total = { columns: n, rows: m, randk: m * n }[kind],
    chosen = randomSubset(total, count, 1, "test", 0);
  const expected = places(one, chosen),
    gradient = new Float32Array(uniform(random(m * n), m * n)),
    background = gradient.map((x) => x / 2 + 1);
  background[0] = NaN;
  const given = kind === "randk" ? words("mask", Math.ceil(total / 32)) : words("selection", Math.ceil(total / 16));
  const step_inputs = stepInputsTensor("step inputs"),
    matrix = floats("matrix", m, n),
    spread = floats("spread", m, n),
    added = floats("added", m, n);
  const compact = floats("compact", Math.max(1, expected.length));
  const record = (r: Recorder): void => {
    const selection = kind === "randk" ? maskSelection(r, given) : given;
    gather(r, kind, { step_inputs, selection, gradient: matrix, chosen: compact });
    scatter(r, kind, { step_inputs, selection, chosen: compact, out: spread }, false);
    scatter(r, kind, { step_inputs, selection, chosen: compact, out: added }, true);
  };
  const written = new Map<Tensor, Words | Float32Array<ArrayBuffer>>([
    [step_inputs, stepInputWords({ count })],
    [given, kind === "randk" ? maskOf(chosen, total) : packSelection(chosen, total)],
    [matrix, gradient],
    [spread, background],
    [added, background],
  ]);
  return {
    compact,
    spread,
    added,
    name: `${count} ${kind} of (${m}, ${n})`,
    record,
    written,
    expected,
    gradient,
    background,
  };
}

test(
  "gather() and scatter(): the selected elements in row-major order, and back; what is not finite stays among " +
    "the others",
  async () => {
    const cases = CASES.map(prepare);
    await withPrograms(await portable(), cases.map(({ record }) => record), async (executor, programs) => {
      await Promise.all(
        cases.map(async ({ name, written, expected, gradient, background, compact, spread, added }, i) => {
          for (const [target, data] of written) executor.write(target, data);
          executor.run(programs[i]!);
          const selected = new Set(expected);
          const [gathered, scattered, sums] = await Promise.all(
            [compact, spread, added].map((out) => executor.read(out)),
          );
          assertEquals(
            [...gathered!].slice(0, expected.length),
            expected.map((at) => gradient[at]!),
            `${name}: gathered`,
          );
          assertEquals(
            scattered,
            gradient.map((x, at) => (selected.has(at) ? x : Number.isNaN(background[at]) ? NaN : 0)),
            `${name}: scattered`,
          );
          assertEquals(
            sums,
            background.map((x, at) => (selected.has(at) ? Math.fround(x + gradient[at]!) : x)),
            `${name}: added`,
          );
        }),
      );
    });
  },
);

function maskOf(chosen: Uint32Array, total: number): Words {
  const mask = new Uint32Array(Math.ceil(total / 32));
  for (const i of chosen) mask[i >> 5]! |= 1 << (i & 31);
  return mask;
}
