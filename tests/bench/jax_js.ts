// Trains a work with jax-js (@jax-js/jax 0.1.25), the fastest of the WebGPU trainers that we measured, and times it.
//
// The comparison is only worth something if the library is used well. What was tried, Deno on llvmpipe, waiting for
// each step: median ms of work A (one run of a dozen steps each, noise some 10 %) and dispatches of A / B:
//
//   one array per weight, whole step in one jit                 92 ms    324 / 605
//   the same, q k v and gate up stacked                         91 ms    268 / 492
//   all weights in one vector, sliced                           84 ms    222 / 406
//   one vector, stacked, norm row by row                        82 ms    202 / 364   <- taken, for its dispatches
//
// On work B all of these took 740 to 800 ms: it is bound by its products, not by dispatches. A real GPU is another
// matter. No difference beyond noise: dotProductAttention or einsum on (B, H, T, D); `matmul` of flattened rows, `dot`
// or einsum; x / sqrt or x * reciprocal(sqrt); loss by logSoftmax and oneHot, or logsumexp and a comparison (1 dispatch
// less). Between waits each step is submitted by `gpuBuffer()`: left to itself the library keeps all work until a read,
// which took some 5 % longer on work B and in Chromium. Embedding in Chromium, A, alternating blocks: gather 173,
// one-hot 178 ms.
//
// Deno: a gather's gradient does not compile there, as naga refuses pointers to storage as arguments of functions.
// Try again with a newer Deno: jax-js is then to use "gather" everywhere.

import { type Embedding, rotaryTables, type State, trainingStep } from "./jax_model.ts";
import type { Jax, JaxArray } from "./jax_types.ts";
import { initialWeights, tokenBatch, type Work } from "./works.ts";

/** Where run.mjs installs the library. Relative to this file: it is both a file for Deno and an address for Vite. */
const LIBRARY = "../../node_modules/.bench/node_modules/@jax-js/jax/dist/index.js";

const WARM_UP_STEPS = 2;

type Constants = Parameters<ReturnType<typeof trainingStep>>[1];
type Step = (state: State, constants: Constants, ids: JaxArray, labels: JaxArray) => [JaxArray, State];

let library: Promise<Jax> | undefined;
/** Compiled steps by work. Kept between blocks, so that only the first pays for tracing and compiling. */
const compiled = new Map<string, Step>();

async function load(): Promise<Jax> {
  const address = new URL(LIBRARY, import.meta.url).href;
  const jax = (await import(/* @vite-ignore */ address)) as Jax;
  const devices = await jax.init("webgpu");
  if (!devices.includes("webgpu")) throw new Error("Cannot run jax-js as it found no WebGPU adapter");
  jax.defaultDevice("webgpu");
  return jax;
}

/**
 * Trains `steps` steps after two for warming up, from the initial weights of the work.
 * The clock runs from the upload of a batch to the end of a wait for the GPU, which comes every `stepsPerWait` steps:
 * `milliseconds` has one number per wait, divided by the steps it waited for. `losses` start at the first warm-up step.
 */
export async function runJaxJs(
  work: Work,
  steps: number,
  stepsPerWait = 1,
): Promise<{ milliseconds: number[]; losses: number[] }> {
  const jax = await (library ??= load());
  const { numpy: np } = jax;
  const embedding: Embedding = "Deno" in globalThis ? "one-hot" : "gather";
  const step = compiled.get(work.name) ?? jax.jit(trainingStep(jax, work, embedding));
  compiled.set(work.name, step);

  const weights = [...initialWeights(work).values()];
  const total = weights.reduce((sum, { data }) => sum + data.length, 0);
  const vector = new Float32Array(total);
  const decays = new Float32Array(total);
  let at = 0;
  for (const { shape, data } of weights) {
    vector.set(data, at);
    decays.fill(shape.length > 1 ? work.weight_decay : 0, at, at + data.length);
    at += data.length;
  }
  const tables = rotaryTables(work);
  const constants = {
    cos: np.array(tables.cos, { shape: tables.shape }),
    sin: np.array(tables.sin, { shape: tables.shape }),
    decay: np.array(decays),
  };
  // The count is an array that the step adds to: a number would be traced as a constant, and jit would retrace.
  let state: State = [np.array(vector), np.zeros([total]), np.zeros([total]), np.array(0)];

  const shape = [work.per_device_train_batch_size, work.max_length];
  const losses: number[] = [];
  const milliseconds: number[] = [];
  let waiting: JaxArray[] = [];
  let start = 0;
  for (let index = 0; index < WARM_UP_STEPS + steps; index++) {
    const { input_ids, labels } = tokenBatch(work, index);
    if (waiting.length === 0) start = performance.now();
    const ids = np.array(input_ids, { shape });
    const [loss, next] = step(
      state,
      { cos: constants.cos.ref, sin: constants.sin.ref, decay: constants.decay.ref },
      ids,
      np.array(labels, { shape }),
    );
    state = next;
    waiting.push(loss);
    const wait = index < WARM_UP_STEPS || waiting.length === stepsPerWait || index === WARM_UP_STEPS + steps - 1;
    if (!wait) {
      await loss.ref.gpuBuffer(); // submits
      continue;
    }
    await loss.ref.data();
    if (index >= WARM_UP_STEPS) milliseconds.push((performance.now() - start) / waiting.length);
    for (const array of waiting) losses.push((await array.data())[0]!);
    waiting = [];
  }
  for (const array of [...state, constants.cos, constants.sin, constants.decay]) array.dispose();
  return { milliseconds, losses };
}
