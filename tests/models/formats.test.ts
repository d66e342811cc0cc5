// A model with weights in every format against one in f32 that holds the same numbers.

import { assert, assertClose, assertEquals, random, test } from "../harness.ts";
import { embeddingSegments } from "../../src/data/text.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import { type Format, pack, unpack } from "../../src/gpu/formats/index.ts";
import { freeze } from "../../src/models/freeze.ts";
import { LLAMA } from "../../src/models/llama.ts";
import type { LlamaConfig } from "../../src/models/llama_config.ts";
import { initialValues } from "../../src/models/parameter.ts";
import { ropeTable } from "../../src/models/rope_table.ts";
import { crossEntropy } from "../../src/ops/cross_entropy.ts";
import { scheduleTensor } from "../../src/optim/step/schedule.ts";
import { bytesByRole } from "../../src/plan/ledger.ts";
import { Recorder } from "../../src/plan/recorder.ts";
import { bytesOf, size, type Tensor, tensor } from "../../src/plan/tensor.ts";
import { testTargets, type Words } from "../ops/run_op.ts";
import { type Floats, planOf, type Recorded, runAll } from "../ops/run_recorded.ts";
import { integers } from "../ops/values.ts";

/** o_proj's rows have 18 numbers, so it stays f32; all other matrices may be packed. */
const CONFIG: LlamaConfig = {
  vocab_size: 37,
  hidden_size: 20,
  intermediate_size: 28,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  num_key_value_heads: 1,
  head_dim: 6,
  max_position_embeddings: 16,
  rms_norm_eps: 1e-5,
  rope_parameters: { rope_theta: 10000 },
  tie_word_embeddings: false,
  initializer_range: 0.2,
  qkv_bias: false,
  o_bias: false,
  mlp_bias: false,
  qk_norm: false,
};

/** A model all of whose matrices are frozen, or a trainable one. */
const makeModel = (config: LlamaConfig, format: Format, frozen: boolean) =>
  frozen
    ? freeze(LLAMA.create(config, { type: "f32" }), {
      trains: ({ value }) => value.shape.length === 1,
      storedAs: () => format,
      quantized: undefined,
    })
    : LLAMA.create(config, { type: format });

/**
 * Losses and gradients of a model in `stored`, with initial values that `format` keeps exactly where matrices may be
 * stored so.
 */
function recordLlama(
  target: KernelTarget,
  config: LlamaConfig,
  format: Format,
  stored: Format,
  frozen: boolean,
): Recorded {
  const B = 2,
    T = 9,
    N = B * T,
    next = random(3),
    ids = integers(next, N, config.vocab_size),
    sorted = embeddingSegments(ids);
  const r = new Recorder({ target, training: true }), written = new Map<Tensor, Floats | Words>();
  const put = (made: Tensor, data: Floats | Words): Tensor => (written.set(made, data), made);
  const input = (label: string, words: Words): Tensor => put(tensor(label, [words.length], "input", "u32"), words);
  const model = makeModel(config, stored, frozen),
    schedule = scheduleTensor("schedule"),
    loss = tensor("loss", [N], "scratch");
  makeModel(config, format, frozen).parameters.forEach(({ value }, i) => {
    const parameter = model.parameters[i]!, values = initialValues(parameter, 1);
    put(parameter.value, unpack(value.type as Format, pack(value.type as Format, values), values.length));
  });
  put(schedule, new Float32Array(size(schedule)).fill(1 / N));
  const rope = put(
    tensor("rope table", [T, 2, config.head_dim / 2], "frozen"),
    ropeTable(T, config.head_dim, config.rope_parameters),
  );
  const segments = () => ({
    order: input("order", sorted.order),
    segment_ids: input("ids of segments", sorted.segment_ids),
    segment_offsets: input("offsets", sorted.segment_offsets),
  });
  const hidden = LLAMA.forward(r, model, {
    tokens: { ids: input("ids", ids), ...(!frozen && { segments: segments() }) },
    tables: { rope },
    B,
    T,
  });
  crossEntropy(r, hidden, model.head.weight, input("labels", integers(next, N, config.vocab_size)), schedule, {
    tensor: loss,
    first: 0,
  });
  r.backward();
  const gradients = model.parameters.flatMap((parameter) => r.gradientOf(parameter) ?? []).map((one) =>
    [one.label, one] as const
  );
  return { program: { name: "model", steps: r.steps }, written, outputs: { loss, ...Object.fromEntries(gradients) } };
}

for (const [format, frozen] of [["bf16", false], ["f16", true], ["int8", true], ["nf4", true]] as const) {
  test(
    `a LLaMA with ${frozen ? "frozen" : "trained"} matrices in ${format} has the losses and gradients of one in ` +
      "f32 that holds the same numbers, in fewer bytes",
    async () => {
      for (const target of await testTargets()) {
        for (const tied of [false, true]) {
          const config = { ...CONFIG, tie_word_embeddings: tied },
            recorded = ([format, "f32"] as const).map((stored) => recordLlama(target, config, format, stored, frozen));
          const [packed, f32] = await runAll(recorded) as [Record<string, Floats>, Record<string, Floats>],
            where = `${target}, ${tied ? "tied" : "untied"}`;
          // To the bit: the kernels differ in how they load a weight, not in the order of any sum.
          for (const [name, values] of Object.entries(f32)) assertEquals(packed[name], values, `${where}: ${name}`);
          assertClose([packed["loss"]!.reduce((sum, one) => sum + one, 0) / 18], [Math.log(37)], {
            name: `${where}: loss of a model that knows nothing`,
            absolute: 1.5,
          });
          const { parameters } = makeModel(config, format, frozen), norms = 5;
          assertEquals(Object.keys(packed).length, 1 + (frozen ? norms : parameters.length), `${where}: gradients`);
          const stays = parameters.filter(({ value }) => value.type === "f32").map(({ value }) => value.label);
          assert(
            stays.length === norms + 2 && stays.every((label) => /norm|o_proj/.test(label)),
            `${where}: ${stays} stay f32, expected five norms and two odd matrices`,
          );
          const { trainable, frozen: kept } = bytesByRole(planOf(recorded.slice(0, 1)).buffers),
            ropeBytes = 4 * 9 * config.head_dim;
          assertEquals(
            trainable + kept - ropeBytes,
            parameters.reduce((sum, { value }) => sum + bytesOf(value), 0),
            `${where}: bytes of the parameters`,
          );
        }
      }
    },
  );
}
