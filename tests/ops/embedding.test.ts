import { assert, assertThrows, random, test } from "../harness.ts";
import * as reference from "../reference/ops.ts";
import { TOLERANCES } from "../tolerances.ts";
import { embeddingSegments } from "../../src/data/text.ts";
import { embedding, type Segments } from "../../src/ops/embedding.ts";
import { checkOps, type Expected, type OpCase, recordCase, type Words } from "./run_op.ts";
import { absolute, integers, uniform } from "./values.ts";

const copy = (value: reference.Reals): Expected => ({ value, tolerance: TOLERANCES.exact });

function embeddingCase(ids: Words, V: number, C: number, uses = 1): OpCase {
  const next = random(V + C), N = ids.length, weight = uniform(next, V * C);
  const { order, segment_ids, segment_offsets } = embeddingSegments(ids);
  const names = ["y", "z"].slice(0, uses),
    seeds = Object.fromEntries(names.map((name) => [name, uniform(next, N * C)]));
  const gradient = (of: (seed: reference.Reals) => reference.Reals): reference.Reals =>
    names.map((name) => reference.embeddingBackward(of(seeds[name]!), ids, V, C)).reduce(reference.add);
  const y = copy(reference.embedding(weight, ids, C));
  return {
    name: `embedding of ${N} ids, V ${V}, C ${C}, used ${uses} times`,
    variables: { weight: { shape: [V, C], values: weight } },
    inputs: { ids, order, segment_ids, segment_offsets },
    record: (r, { weight }, inputs) => {
      const segments = inputs as unknown as Segments; // named alike
      return Object.fromEntries(names.map((name) => [name, embedding(r, weight!, inputs["ids"]!, segments)]));
    },
    seeds,
    expected: {
      ...Object.fromEntries(names.map((name) => [name, y])),
      dweight: {
        value: gradient((seed) => seed),
        scale: gradient(absolute),
        tolerance: TOLERANCES.embedding,
        terms: uses * N,
      },
    },
  };
}

test("embedding(): rows and their gradient, rows that no id names have 0", async () => {
  const next = random(1);
  const sizes = [
    [1, 1, 1],
    [2, 3, 1],
    [3, 2, 7],
    [8, 9, 8],
    [17, 5, 16],
    [33, 40, 17],
    [65, 7, 63],
    [64, 300, 64],
    [127, 31, 65],
    [7, 11, 315],
    [128, 50, 129],
  ] as const;
  await checkOps([
    ...sizes.map(([N, V, C]) => embeddingCase(integers(next, N, V), V, C)),
    embeddingCase(Uint32Array.from({ length: 100 }, () => 4), 9, 33), // one token only
    embeddingCase(Uint32Array.from({ length: 100 }, (_, i) => 99 - i), 100, 5), // every token once
    embeddingCase(Uint32Array.of(0, 8, 0, 8, 8), 9, 3), // the first and the last row
  ]);
});

test("embedding(): a second use adds to the gradient", async () => {
  const next = random(2);
  await checkOps([embeddingCase(integers(next, 3, 5), 5, 3, 2), embeddingCase(integers(next, 65, 20), 20, 66, 2)]);
});

test("embedding(): large vocabularies", async () => {
  const next = random(3), ends = (V: number): Words => Uint32Array.of(0, V - 1, 0, ...integers(next, 6, V));
  await checkOps([embeddingCase(ends(50257), 50257, 7), embeddingCase(ends(262144), 262144, 3)]);
});

test("embedding(): an id past the vocabulary reads the last row", async () => {
  await checkOps([{
    name: "embedding of a foreign id",
    variables: { weight: { shape: [2, 3], values: Float64Array.of(1, 2, 3, 4, 5, 6), frozen: true } },
    inputs: { ids: Uint32Array.of(0xffffffff, 2, 0) },
    record: (r, { weight }, { ids }) => ({ y: embedding(r, weight!, ids!) }),
    expected: { y: copy(Float64Array.of(4, 5, 6, 4, 5, 6, 1, 2, 3)) },
  }]);
});

test("embedding(): the backward pass needs segments, a frozen weight needs none", () => {
  const one = embeddingCase(Uint32Array.of(1, 0), 2, 3);
  const without: OpCase = { ...one, record: (r, { weight }, { ids }) => ({ y: embedding(r, weight!, ids!) }) };
  assertThrows(() => recordCase(without, "portable"), "it has no segments");
  const frozen = recordCase(
    { ...without, variables: { weight: { ...one.variables["weight"]!, frozen: true } } },
    "portable",
  );
  assert(frozen.program.steps.length === 1, "a frozen embedding is one dispatch");
});
