// An architecture from outside: Gemma (Gemma Team, 2024). Its norms multiply by 1 + w, its embedding is scaled by the
// root of the width, its MLP is gated by GELU, and all heads share one key and value head. Loaded from a Hugging Face
// folder, trained, exported and loaded again. Public entry points only.

import { defineKernel, type Gpu, openGpu, type Recorder, type Variable } from "../../src/exports/plan.ts";
import { encodeSafetensors, filesFolder, openPretrained, type Pretrained } from "../../src/exports/checkpoint.ts";
import {
  applyLinear,
  type Architecture,
  ConfigReader,
  createLinear,
  createModel,
  defineModel,
  type ForwardInputs,
  inLayer,
  type LanguageModelHead,
  type LinearLayer,
  type Model,
  type Parameter,
  parameter,
  ropeTable,
  ropeTableTensor,
} from "../../src/exports/models.ts";
import { attention, embedding, gelu, moveGradient, multiply, rmsNorm, rope, scale } from "../../src/exports/ops.ts";
import {
  openForEvaluation,
  openForGeneration,
  parseConfig,
  prepareFineTuning,
  prepareRun,
  resultFiles,
  train,
  type Trainer,
} from "../../src/exports/train.ts";
import { assert, assertEquals, test } from "../harness.ts";

interface GemmaConfig {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly max_position_embeddings: number;
  readonly rms_norm_eps: number;
  readonly rope_theta: number;
  readonly initializer_range: number;
}

type GemmaLayer =
  & Readonly<
    Record<"q_proj" | "k_proj" | "v_proj" | "o_proj" | "gate_proj" | "up_proj" | "down_proj", LinearLayer>
  >
  & Readonly<Record<"input_layernorm" | "post_attention_layernorm", Parameter>>;

interface Gemma extends Model {
  readonly config: GemmaConfig;
  readonly layers: readonly GemmaLayer[];
  readonly norm: Parameter;
  readonly head: LanguageModelHead;
}

const GEMMA: Architecture<Gemma> = {
  types: ["gemma"],
  parse(json) {
    const config = new ConfigReader(json);
    config.only("hidden_activation", ["gelu_pytorch_tanh"]);
    return {
      vocab_size: config.count("vocab_size"),
      hidden_size: config.count("hidden_size"),
      intermediate_size: config.count("intermediate_size"),
      num_hidden_layers: config.layers("num_hidden_layers"),
      num_attention_heads: config.count("num_attention_heads"),
      num_key_value_heads: config.count("num_key_value_heads"),
      head_dim: config.count("head_dim"),
      max_position_embeddings: config.count("max_position_embeddings"),
      rms_norm_eps: config.positive("rms_norm_eps", 1e-6),
      rope_theta: config.positive("rope_theta", 10000),
      initializer_range: config.positive("initializer_range", 0.02),
    };
  },
  create(config, { type }) {
    const { hidden_size: C, intermediate_size: F, head_dim: D, initializer_range: deviation } = config;
    const H = config.num_attention_heads, KV = config.num_key_value_heads;
    const tokens = parameter("model.embed_tokens.weight", [config.vocab_size, C], deviation, { type, kind: "head" });
    const layers = [...Array(config.num_hidden_layers).keys()].map((index) => {
      const name = `model.layers.${index}`;
      const linear = (module: string, out: number, width: number): LinearLayer =>
        createLinear(`${name}.${module}`, out, width, deviation, { type });
      return inLayer(index, {
        q_proj: linear("self_attn.q_proj", H * D, C),
        k_proj: linear("self_attn.k_proj", KV * D, C),
        v_proj: linear("self_attn.v_proj", KV * D, C),
        o_proj: linear("self_attn.o_proj", C, H * D),
        gate_proj: linear("mlp.gate_proj", F, C),
        up_proj: linear("mlp.up_proj", F, C),
        down_proj: linear("mlp.down_proj", C, F),
        input_layernorm: parameter(`${name}.input_layernorm.weight`, [C], "zeros"),
        post_attention_layernorm: parameter(`${name}.post_attention_layernorm.weight`, [C], "zeros"),
      });
    });
    const norm = parameter("model.norm.weight", [C], "zeros"), head = { task: "CAUSAL_LM" as const, weight: tokens };
    return defineModel({ architecture: GEMMA, config, embeddings: { tokens }, layers, norm, head });
  },
  forward(r, { config, embeddings, layers, norm }, inputs) {
    let x = embedding(r, embeddings.tokens, inputs.tokens.ids, inputs.tokens.segments);
    scale(r, x, Math.sqrt(config.hidden_size));
    layers.forEach((layer, index) => {
      const record = (x: Variable): Variable =>
        r.scope(`model.layers.${index}`, () => gemmaLayer(r, config, layer, x, inputs));
      x = inputs.gradient_checkpointing ? r.checkpoint(x, record) : record(x);
    });
    return rmsNorm(r, x, onePlus(r, norm), config.rms_norm_eps);
  },
  maxLength: ({ max_position_embeddings }) => max_position_embeddings,
  tables: ({ head_dim, rope_theta }, T) => ({
    rope: { tensor: ropeTableTensor(T, head_dim), values: () => ropeTable(T, head_dim, { rope_theta }) },
  }),
  dropouts: [],
  lora_targets: ["q_proj", "v_proj"],
  files: { prefix: () => "model.", ignored: () => /(?:^|\.)rotary_emb\.inv_freq$/ },
};

function gemmaLayer(
  r: Recorder,
  config: GemmaConfig,
  layer: GemmaLayer,
  x: Variable,
  { B, T, tables, documents, dropout }: ForwardInputs,
): Variable {
  const { num_attention_heads: H, num_key_value_heads: KV, head_dim: D, rms_norm_eps: eps } = config;
  const normed = rmsNorm(r, x, onePlus(r, layer.input_layernorm), eps);
  const [q, k, v] = [layer.q_proj, layer.k_proj, layer.v_proj].map((to) => applyLinear(r, normed, to, { dropout }));
  rope(r, q!, k!, tables!["rope"]!);
  const heads = attention(r, q!, k!, v!, { B, T, H, KV, D, ...(documents && { documents }) });
  const attended = applyLinear(r, heads, layer.o_proj, { residual: x, dropout });
  const input = rmsNorm(r, attended, onePlus(r, layer.post_attention_layernorm), eps);
  const gate = gelu(r, applyLinear(r, input, layer.gate_proj, { dropout }), "tanh");
  const hidden = multiply(r, gate, applyLinear(r, input, layer.up_proj, { dropout }));
  return applyLinear(r, hidden, layer.down_proj, { residual: attended, dropout });
}

const onePlusKernel = defineKernel({
  name: "one_plus",
  code: `// y = 1 + w, element by element. One thread per element.
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.n) { y[id.x] = 1.0 + w[id.x]; }
}`,
  reads: { w: "array<f32>" },
  writes: { y: "array<f32>" },
  params: { n: "u32" },
  groups: ({ n }) => Math.ceil(n / 64),
});

/** 1 + w, whose gradient is the gradient of w. */
function onePlus(r: Recorder, w: Parameter): Variable {
  const y = { value: r.tensor(`1 + ${w.value.label}`, w.value.shape), needsGradient: w.needsGradient };
  r.run(onePlusKernel, { w: w.value, y: y.value }, { n: w.value.shape[0]! });
  r.onBackward(y, [w], (dy) => moveGradient(r, dy, w));
  return y;
}

const JSON_CONFIG = {
  model_type: "gemma",
  architectures: ["GemmaForCausalLM"],
  vocab_size: 40,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 8,
  max_position_embeddings: 32,
  rms_norm_eps: 1e-6,
  hidden_activation: "gelu_pytorch_tanh",
  tie_word_embeddings: true,
};

/** Weights by a formula: element i of the k-th name, sorted, is 0.4 sin(1.7 i + 0.9 k² + 0.3). */
function weightsFile(): Uint8Array<ArrayBuffer> {
  const parameters = createModel(JSON_CONFIG, { architecture: GEMMA }).parameters.map(({ value }) => value);
  const sorted = parameters.map(({ label }) => label).sort();
  return encodeSafetensors(parameters.map(({ label, shape }) => {
    const k = sorted.indexOf(label), length = shape.reduce((a, b) => a * b, 1);
    const values = Float32Array.from({ length }, (_, i) => 0.4 * Math.sin(1.7 * i + 0.9 * k * k + 0.3));
    return { name: label, dtype: "F32" as const, shape, data: new Uint8Array(values.buffer) };
  }));
}

const folderOf = (files: ReadonlyMap<string, Blob>) => filesFolder("gemma", files);
const IDS = [5, 31, 7, 0, 12, 9, 3, 22];

test("Gemma, defined in one file: logits and loss of transformers, training, export and a second loading", async () => {
  const gpu = await openGpu();
  const folder = folderOf(
    new Map([
      ["config.json", new Blob([JSON.stringify(JSON_CONFIG)])],
      ["model.safetensors", new Blob([weightsFile()])],
    ]),
  );
  const architectures = [GEMMA];
  const pretrained = await openPretrained(folder, folder, architectures);

  // transformers 5.24, torch 2.15: GemmaForCausalLM with the same weights, in f32 on the CPU.
  const generation = await openForGeneration(gpu, pretrained, { T: 8 });
  for (
    const [length, token, expected] of [[1, 0, -0.78614944], [2, 7, 0.98856503], [8, 3, -0.62880224], [
      8,
      21,
      -1.20586932,
    ]] as const
  ) {
    const logits = await generation.session.nextLogits(generation.program, IDS.slice(0, length));
    assert(Math.abs(logits[token]! - expected) < 5e-6, `logit ${token} after ${length} tokens: ${logits[token]}`);
  }
  generation.session.destroy();
  assert(Math.abs(await lossOf(gpu, pretrained) - 3.73336577) < 5e-6, "another loss than transformers");

  const config = parseConfig({
    model: "gemma",
    max_steps: 30,
    learning_rate: 1e-2,
    max_length: 8,
    per_device_train_batch_size: 2,
    logging_steps: 1,
    optim: "frugal",
    lr_scheduler_type: "constant",
    warmup_steps: 0,
    sample_tokens: 4,
    prompt: "5 31",
    validation_split: 0.2,
  });
  const tuning = await prepareFineTuning(config, {
    model: folder,
    architectures,
    dataset: `${IDS.join(" ")} `.repeat(40),
  });
  const run = prepareRun(tuning.config, tuning.prepared, gpu.target), losses: number[] = [];
  const trainer: Trainer = await train(
    gpu,
    run,
    undefined,
    (event) => {
      if (event.type === "step") losses.push(event.loss);
    },
    { load: tuning.load },
  );
  try {
    assert(losses.length === 30 && losses[0]! > 3 && losses.at(-1)! < 1, `losses ${losses[0]} to ${losses.at(-1)}`);
    const files = new Map<string, Blob>();
    for (const [name, contents] of resultFiles("model", run, trainer.executor, tuning)) {
      files.set(name, new Blob(contents instanceof Uint8Array ? [contents] : await Array.fromAsync(contents)));
    }
    const again = await openPretrained(folderOf(files), folderOf(files), architectures);
    assertEquals(again.json["model_type"], "gemma");
    const batch = { input_ids: Uint32Array.from([...IDS, ...IDS]), labels: labels(2) };
    const { eval_loss } = await trainer.evaluate(run.programs.evaluate, [batch]);
    assert(Math.abs(await lossOf(gpu, again) - eval_loss) < 1e-6, "the exported model has another loss");
  } finally {
    trainer.destroy();
  }
});

const labels = (rows: number): Uint32Array<ArrayBuffer> =>
  Uint32Array.from({ length: rows * IDS.length }, (_, i) => IDS[i % IDS.length + 1] ?? 0xffffffff);

async function lossOf(
  gpu: Gpu,
  pretrained: Pretrained,
) {
  const { session, program } = await openForEvaluation(gpu, pretrained, { B: 1, T: 8, packed: false });
  const { eval_loss } = await session.evaluate(program, [{ input_ids: Uint32Array.from(IDS), labels: labels(1) }]);
  session.destroy();
  return eval_loss;
}
