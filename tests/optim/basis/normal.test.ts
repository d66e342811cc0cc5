// Random numbers on the device: the words are the host's, bit for bit; what is made of them is normal.

import { assert, assertClose, assertEquals, random, test } from "../../harness.ts";
import { integers } from "../../ops/values.ts";
import { defineKernel, perThread } from "../../../src/gpu/kernel.ts";
import { philox4x32, type Words4 } from "../../../src/random/philox.ts";
import { randomNormal, type RandomStream } from "../../../src/optim/split/basis/normal.ts";
import { stepInputsTensor } from "../../../src/optim/step/step_inputs.ts";
import { type Data, floats, realsOf, runTurns, stepInputWords, words } from "./run_basis.ts";
import philoxCode from "../../../shaders/lib/philox.wgsl" with { type: "text" };
import threadCode from "../../../shaders/lib/thread.wgsl" with { type: "text" };

const philoxKernel = defineKernel({
  name: "philox",
  code: `@compute @workgroup_size(\${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i < params.n) { out[i] = philox(counters[i], keys[i]); }
}`,
  libraries: [threadCode, philoxCode],
  reads: { counters: "array<vec4u>", keys: "array<vec2u>" },
  writes: { out: "array<vec4u>" },
  params: { n: "u32" },
  constants: { WORKGROUP: 64 },
  groups: perThread,
});

test("philox(): the known answers of Random123, and the host's words for ten thousand counters", async () => {
  const n = 10_000, all = 0xffffffff, next = random(1);
  const counters = integers(next, 4 * n, 2 ** 32), keys = integers(next, 2 * n, 2 ** 32);
  counters.set([0, 0, 0, 0, all, all, all, all, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344]);
  keys.set([0, 0, all, all, 0xa4093822, 0x299f31d0]);
  const tensors = { counters: words("counters", 4 * n), keys: words("keys", 2 * n), out: words("out", 4 * n) };
  const turn = new Map([[tensors.counters, counters], [tensors.keys, keys]]);
  const [[drawn] = []] = await runTurns("portable", (r) => r.run(philoxKernel, tensors, { n }), [turn], [tensors.out]);
  const expected = new Uint32Array(4 * n);
  for (let i = 0; i < n; i++) {
    expected.set(
      philox4x32([...counters.subarray(4 * i, 4 * i + 4)] as Words4, [keys[2 * i]!, keys[2 * i + 1]!]),
      4 * i,
    );
  }
  assertEquals(drawn, expected);
  assertEquals([...drawn!.subarray(0, 12)], [
    0x6627e8d5,
    0xe169c58d,
    0xbc57ac4c,
    0x9b00dbd8,
    0x408f276d,
    0x41c83b0e,
    0xa20bc7c6,
    0x6d5451fd,
    0xd16cfe09,
    0x94fdcceb,
    0x5001e420,
    0x24126ea1,
  ]);
});

/** The bits drawn for each of `steps`. */
async function draw(
  size: number,
  steps: readonly number[],
  stream: Partial<RandomStream> = {},
): Promise<Uint32Array<ArrayBuffer>[]> {
  const out = floats("out", size), step_inputs = stepInputsTensor("step inputs");
  const turns = steps.map((drawn) =>
    new Map<typeof out, Data>([[out, new Float32Array(size).fill(NaN)], [step_inputs, stepInputWords({ drawn })]])
  );
  const results = await runTurns(
    "portable",
    (r) => randomNormal(r, out, step_inputs, { deviation: 2, seed: 1, purpose: "test", ...stream }),
    turns,
    [out],
  );
  return results.map(([bits]) => bits!);
}

test("randomNormal(): the moments of a normal distribution, neighbours independent", async () => {
  const n = 1 << 16, [bits] = await draw(n, [0]), values = realsOf(bits!).map((x) => x / 2);
  const mean = (f: (x: number, i: number) => number): number => values.reduce((sum, x, i) => sum + f(x, i), 0) / n;
  // Four standard errors of 65 536 draws, which are 0.004, 0.006, 0.015 and 0.04.
  assertClose([mean((x) => x)], [0], { name: "mean", absolute: 0.016 });
  assertClose([mean((x) => x * x)], [1], { name: "variance", absolute: 0.024 });
  assertClose([mean((x) => x ** 3)], [0], { name: "third moment", absolute: 0.06 });
  assertClose([mean((x) => x ** 4)], [3], { name: "fourth moment", absolute: 0.16 });
  for (const distance of [1, 2, 3, 4]) {
    assertClose([mean((x, i) => x * values[(i + distance) % n]!)], [0], {
      name: `correlation at distance ${distance}`,
      absolute: 0.016,
    });
  }
  assertClose([mean((x) => Number(Math.abs(x) > 3))], [0.0027], { name: "beyond three deviations", absolute: 0.0008 });
});

test("randomNormal(): a function of seed, purpose and drawn; every element is set at any size", async () => {
  const [first, again, later] = await draw(1031, [0, 0, 200]) as [Uint32Array, Uint32Array, Uint32Array];
  assertEquals(again, first, "the same step again");
  const seeded = (await draw(1031, [0], { seed: 2 }))[0]!, named = (await draw(1031, [0], { purpose: "other" }))[0]!;
  for (const other of [later, seeded, named]) {
    assert(first.every((word, i) => word !== other[i]), "another stream has other numbers everywhere");
  }
  for (const size of [1, 2, 3, 5]) {
    assertEquals((await draw(size, [0]))[0], first.slice(0, size), `${size} numbers are the beginning of 1031`);
  }
  assert(first.every((word) => (word & 0x7f800000) !== 0x7f800000), "all are finite");
});
