// A small model of each family, as its config.json describes it, and its programs with the numbers that they read.

import { random } from "../harness.ts";
import type { Floats, Recorded } from "../ops/run_recorded.ts";
import { integers } from "../ops/values.ts";
import type { KernelTarget } from "../../src/gpu/device.ts";
import type { Json } from "../../src/models/config_reader.ts";
import type { Model } from "../../src/models/architecture.ts";
import { classesOf, recordLogits } from "../../src/models/model.ts";
import { initialValues } from "../../src/models/parameter.ts";
import { scheduleTensor } from "../../src/optim/step/schedule.ts";
import { Recorder, type Variable } from "../../src/plan/recorder.ts";
import { size, type Tensor, tensor } from "../../src/plan/tensor.ts";
import { batchInputs, BatchWriter, type InputValues } from "../../src/train/batch_inputs.ts";
import { objectiveOf } from "../../src/train/objective.ts";
import { tablesOf, tableTensors } from "../../src/train/programs.ts";

const LLAMA = {
  vocab_size: 37,
  hidden_size: 16,
  intermediate_size: 28,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 24,
  initializer_range: 0.2, // ten times the usual: all parts of the gradient are then of one order
};
const BERT = {
  vocab_size: 37,
  hidden_size: 16,
  intermediate_size: 28,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 24,
  initializer_range: 0.2,
};

export const SMALL: Readonly<Record<"llama" | "tied" | "qwen2" | "qwen3" | "gpt2" | "roberta" | "bert", Json>> = {
  llama: { model_type: "llama", ...LLAMA },
  tied: { model_type: "llama", ...LLAMA, tie_word_embeddings: true },
  qwen2: { model_type: "qwen2", ...LLAMA },
  qwen3: { model_type: "qwen3", ...LLAMA },
  gpt2: {
    model_type: "gpt2",
    vocab_size: 37,
    n_positions: 24,
    n_embd: 16,
    n_layer: 2,
    n_head: 4,
    n_inner: 28,
    initializer_range: 0.2,
  },
  roberta: { model_type: "roberta", ...BERT, num_labels: 3 },
  bert: { model_type: "bert", ...BERT, num_labels: 3 },
};

/** Random numbers for a parameter, biases and norms too. */
export function someNumbers(shape: readonly number[], seed: number, around = 0): Floats {
  const next = random(seed);
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => around + 0.4 * (next() - 0.5));
}

/** Initial values of matrices, and numbers of their own for biases and norms, which begin as all zeros or ones. */
export const randomValues = (model: Model, seed: number): Map<string, Floats> =>
  new Map(model.parameters.map((parameter, i) => {
    const { value: { label, shape }, initial } = parameter;
    return [
      label,
      typeof initial === "string" && !label.includes("lora_B")
        ? someNumbers(shape, 100 * seed + i, initial === "ones" ? 1 : 0)
        : initialValues(parameter, seed),
    ];
  }));

const B = 2, T = 7;

/**
 * Logits, losses and all gradients of a model with these weights, by name: "logits", "loss" and the parameters' own.
 */
export function recordModel(
  target: KernelTarget,
  model: Model,
  values: ReadonlyMap<string, Floats>,
): { readonly logits: Recorded; readonly gradients: Recorded } {
  const next = random(3), objective = objectiveOf(model), tables = tablesOf(model, T);
  const input_ids = integers(next, B * T, model.config.vocab_size), rows = classesOf(model) ? B : B * T;
  const batch = { input_ids, labels: integers(next, rows, classesOf(model)?.length ?? model.config.vocab_size) };
  const record = (
    label: string,
    body: (r: Recorder, inputs: ReturnType<typeof batchInputs>) => Readonly<Record<string, Tensor>>,
    extra: readonly (readonly [Tensor, Floats])[] = [],
  ): Recorded => {
    const r = new Recorder({ target, training: label === "gradients" }),
      inputs = batchInputs(label, model, objective, { B, T, packed: false, training: label === "gradients" });
    const outputs = body(r, inputs), written: InputValues = new Map(extra);
    new BatchWriter(model).add(written, inputs, objective, batch);
    // Labels are no input of a program that has only logits.
    if (label === "logits") written.delete(inputs.objective["labels"]!);
    for (const table of Object.values(tables)) written.set(table.tensor, table.values());
    for (const { value } of model.parameters) written.set(value, values.get(value.label)!);
    return { program: { name: label, steps: r.steps }, written, outputs };
  };
  const forward = (inputs: ReturnType<typeof batchInputs>) => ({ ...inputs, ...tableTensors(tables) });
  const schedule = scheduleTensor("schedule"), loss = tensor("loss", [rows], "scratch");
  const logits = record(
    "logits",
    (r, inputs) => ({
      logits: recordLogits(
        r,
        model,
        forward(inputs),
        tensor("logits out", [rows, classesOf(model)?.length ?? model.config.vocab_size], "scratch"),
      ).value,
    }),
  );
  const gradients = record("gradients", (r, inputs) => {
    objective.record(r, {
      model,
      inputs: forward(inputs),
      tensors: inputs.objective,
      outputs: undefined,
      schedule,
      loss: { tensor: loss, first: 0 },
    });
    r.backward();
    return {
      loss,
      ...Object.fromEntries(
        model.parameters.flatMap((parameter: Variable) => r.gradientOf(parameter) ?? []).map((
          one,
        ) => [one.label.replace(/^d\((.*)\)$/, "$1"), one]),
      ),
    };
  }, [[schedule, new Float32Array(size(schedule)).fill(1 / rows)]]);
  return { logits, gradients };
}
