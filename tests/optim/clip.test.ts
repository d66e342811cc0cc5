import { assert, assertClose, assertEquals, random, test } from "../harness.ts";
import { uniform } from "../ops/values.ts";
import type { Reals } from "../reference/ops.ts";
import { clipScale, globalNorm } from "../reference/optim.ts";
import { EPS } from "../tolerances.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import { gradientNorm, NO_CLIP } from "../../src/optim/step/clip.ts";
import { METRICS, metricsTensor, recordMetrics } from "../../src/optim/step/metrics.ts";
import { packSchedule, scheduleTensor } from "../../src/optim/step/schedule.ts";
import { Executor } from "../../src/plan/executor.ts";
import { planMemory } from "../../src/plan/memory.ts";
import { type Program, Recorder } from "../../src/plan/recorder.ts";
import { tensor } from "../../src/plan/tensor.ts";
import { testGpu } from "../test_gpu.ts";

interface NormCase {
  readonly gradients: readonly Reals[];
  readonly max_norm: number;
  readonly together: boolean;
  /** The target that the recorder is given, if not the true one: it asks for the partial sums of a large model. */
  readonly sizes?: readonly number[];
}

interface Clip {
  readonly norm: number;
  readonly scale: number;
  readonly skip: number;
}

async function clipsOf(cases: readonly NormCase[], target: KernelTarget): Promise<Clip[]> {
  const recorded = cases.map(({ gradients, max_norm, together, sizes }) => {
    const r = new Recorder({ target, training: true });
    const tensors = gradients.map((g, i) => tensor(`g${i}`, [g.length], "state"));
    const norm = gradientNorm(r, sizes ?? gradients.map((g) => g.length), together);
    if (together) norm.add(tensors);
    else for (const t of tensors) norm.add([t]);
    const clip = norm.finish(max_norm);
    return { program: { name: "norm", steps: r.steps } satisfies Program, tensors, clip };
  });
  const executor = await Executor.create(await testGpu(), planMemory(recorded.map(({ program }) => program)));
  const read = recorded.map(({ program, tensors, clip }, i) => {
    tensors.forEach((t, g) => executor.write(t, new Float32Array(cases[i]!.gradients[g]!)));
    for (const t of new Set(program.steps.flatMap((step) => step.tensors))) {
      // a partial sum never written must show
      if (t.role === "scratch") executor.write(t, new Uint32Array(t.shape[0]!).fill(0x7fc00000));
    }
    executor.run(program);
    return executor.readWords(clip);
  });
  const clips = (await Promise.all(read)).map((words) => {
    const [norm, scale] = new Float32Array(words.buffer);
    return { norm: norm!, scale: scale!, skip: words[2]! };
  });
  executor.destroy();
  return clips;
}

const some = (seed: number, sizes: readonly number[], range = 1): Reals[] =>
  sizes.map((n, i) => uniform(random(seed + i), n, range));

for (const target of ["portable", "tiled"] as const) {
  test(
    `gradientNorm() (${target}): norm and scale of any number of gradients, together or ` +
      "one at a time",
    async () => {
      const shapes = [[1], [64], [1031], [3, 5], [7, 1, 300, 2, 64], [1, 2, 3, 4, 5, 6], [5, 4, 3, 2, 1, 9, 8], [
        100,
        200,
        300,
        1,
        1,
        1,
        1,
        1,
        1,
        1,
        1,
        1,
        500,
      ], [70000, 33]];
      const cases = shapes.flatMap((sizes, i) =>
        [true, false].flatMap((together) =>
          [0, 0.5, 1e6].map((max_norm): NormCase => ({ gradients: some(i, sizes), max_norm, together }))
        )
      );
      const clips = await clipsOf(cases, target);
      clips.forEach(({ norm, scale, skip }, i) => {
        const { gradients, max_norm, together } = cases[i]!,
          name = `gradients of ${gradients.map((g) => g.length)}, max ${max_norm}${together ? ", together" : ""}`;
        const expected = globalNorm(gradients);
        // All terms are positive, so rounding is relative to the sum: sqrt(terms) / 2 in units of EPS at the very worst
        // here.
        assertClose([norm], [expected], { name: `${name}: norm`, relative: 16 * EPS });
        assertClose([scale], [clipScale(expected, max_norm)], { name: `${name}: scale`, relative: 20 * EPS });
        assertEquals(skip, 0, name);
        if (max_norm !== 0.5) assertEquals(scale, 1, `${name}: nothing to clip`);
      });
    },
  );

  test(`gradientNorm() (${target}): one bad number anywhere skips the step`, async () => {
    const cases = [NaN, Infinity, -Infinity, 1e30].flatMap((bad) =>
      [0, 7, 299].map((at): NormCase => {
        const gradients = some(3, [300, 20, 300, 20, 300, 20, 300]);
        gradients.at(-1)![at] = bad;
        return { gradients, max_norm: 1, together: true };
      })
    );
    // 1e30 is finite, its square is not: f32 cannot tell how far to scale.
    assertEquals((await clipsOf(cases, target)).map(({ skip }) => skip), cases.map(() => 1));
  });

  test(`gradientNorm() (${target}): as many partial sums as a model of 100 million has`, async () => {
    const gradients = some(5, Array.from({ length: 30 }, () => 10));
    const [clip] = await clipsOf(
      [{ gradients, max_norm: 1, together: true, sizes: gradients.map(() => 4e6) }],
      target,
    );
    assertClose([clip!.norm], [globalNorm(gradients)], { name: "norm", relative: 16 * EPS });
  });

  test(`recordMetrics() (${target}): loss, norm and skip in the row of the step, the others stay`, async () => {
    // Llvmpipe ends a thread's loops after 65 535 rounds without a word, so a long batch is one of the sizes.
    for (const n of [1, 63, 300, 70000]) {
      const r = new Recorder({ target, training: false });
      const schedule = scheduleTensor("schedule"),
        clip = tensor("clip", [3], "input", "u32"),
        loss = tensor("loss", [n], "state");
      const metrics = metricsTensor(3);
      recordMetrics(r, { schedule, clip, loss, metrics });
      const program = { name: "metrics", steps: r.steps };
      const executor = await Executor.create(await testGpu(), planMemory([program]));
      const losses = uniform(random(n), n).map((x) => 2 + x);
      executor.write(loss, new Float32Array(losses));
      executor.write(metrics, new Float32Array(3 * METRICS).fill(-1));
      executor.write(clip, Uint32Array.of(...new Uint32Array(Float32Array.of(2.5, 0.5).buffer), 1));
      const loss_scale = Math.fround(1 / n);
      executor.write(schedule, packSchedule({ learning_rate: 1, loss_scale, metrics_row: 1 }));
      executor.run(program);
      const mean = losses.reduce((a, b) => a + b, 0) * loss_scale;
      // All terms are positive: a random walk of n roundings, relative to the sum.
      assertClose(await executor.read(metrics), [-1, -1, -1, mean, 2.5, 1, -1, -1, -1], {
        name: `metrics of ${n} tokens`,
        relative: EPS * (2 + Math.sqrt(n) / 2),
      });
      executor.destroy();
    }
  });
}

test("NO_CLIP keeps gradients as they are", () => {
  assertEquals([...new Float32Array(NO_CLIP.buffer)].slice(0, 2), [0, 1]);
  assertEquals(NO_CLIP[2], 0);
  assert(NO_CLIP.length === 3, "norm, scale, skip");
});
