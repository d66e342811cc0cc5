import { crossEntropy, crossEntropyOfLogits, type LossTarget } from "../ops/cross_entropy.ts";
import { linear } from "../ops/linear.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import { type Bert, bert, createBert } from "./bert.ts";
import { parseBertConfig } from "./bert_config.ts";
import type { Json } from "./config_reader.ts";
import type { Factors } from "./factorised.ts";
import { createGpt2, type Gpt2, gpt2, parseGpt2Config } from "./gpt2.ts";
import type { ForwardInputs } from "./inputs.ts";
import { createLlama, type Llama, llama } from "./llama.ts";
import { LLAMA_TYPES, parseLlamaConfig } from "./llama_config.ts";
import type { Parameter, WeightType } from "./parameter.ts";

/** A language model as plain data: its configuration and the tree of its parameters. */
export type Model = Llama | Gpt2 | Bert;

/** Values of model_type in config.json. */
export const MODEL_TYPES: readonly string[] = [...LLAMA_TYPES, "gpt2", "roberta", "bert"];

/**
 * The model that a Hugging Face config.json describes, matrices stored as `weights`.
 * @throws RangeError for a model_type that is none of MODEL_TYPES, for missing numbers, and for factors of another
 * family than LLaMA's.
 */
export function createModel(json: Json, weights: WeightType = "f32", factors?: Factors): Model {
  const type = json["model_type"];
  if ((LLAMA_TYPES as readonly unknown[]).includes(type)) return createLlama(parseLlamaConfig(json), weights, factors);
  if (factors) {
    throw new RangeError(
      `Cannot factorise a model of model_type "${String(type)}": expected one of ${
        LLAMA_TYPES.join(", ")
      }. Leave out factor_rank`,
    );
  }
  if (type === "gpt2") return createGpt2(parseGpt2Config(json), weights);
  if (type === "roberta" || type === "bert") return createBert(parseBertConfig(json), weights);
  throw new RangeError(
    `Cannot load a model of model_type ${JSON.stringify(type) ?? "nothing"}: expected one of ${MODEL_TYPES.join(", ")}`,
  );
}

/** Which numbers beside the tokens a forward pass of the model reads. */
export interface Needs {
  readonly positions: boolean;
  readonly token_types: boolean;
  /** Documents are always told, because padding must not be seen. */
  readonly documents: boolean;
  /** Heads' width, of models with RoPE. */
  readonly rope: number | undefined;
  /** Most tokens of a sequence. */
  readonly most: number;
}

export function needsOf(model: Model): Needs {
  const plain = { positions: false, token_types: false, documents: false, rope: undefined };
  switch (model.family) {
    case "llama":
      return { ...plain, rope: model.config.head_dim, most: model.config.max_position_embeddings };
    case "gpt2":
      return { ...plain, positions: true, most: model.config.n_positions };
    case "bert":
      return {
        ...plain,
        positions: true,
        token_types: true,
        documents: true,
        most: model.config.max_position_embeddings - positionOffset(model),
      };
    default:
      return model satisfies never;
  }
}

/** What is added to a token's place in its document to get its position: RoBERTa counts from behind the padding's. */
export const positionOffset = (
  model: Model,
): number => (model.family === "bert" && model.config.model_type === "roberta" ? model.config.pad_token_id + 1 : 0);

/** Names of the classes, of a model that classifies. */
export const classesOf = (
  model: Model,
): readonly string[] | undefined => (model.family === "bert" ? model.config.labels : undefined);

/** The weight that makes logits of hidden states, of a model that predicts tokens. */
export const headOf = (model: Model): Parameter | undefined => (model.family === "bert" ? undefined : model.lm_head);

/** Everything that tokens are looked up in. */
export function embeddingsOf(model: Model): readonly Parameter[] {
  switch (model.family) {
    case "llama":
      return [model.embed_tokens];
    case "gpt2":
      return [model.wte, model.wpe];
    case "bert":
      return [model.word_embeddings, model.position_embeddings, model.token_type_embeddings];
    default:
      return model satisfies never;
  }
}

/** Hidden states that the head reads: (B*T, C). */
export const hiddenStates = (
  r: Recorder,
  model: Llama | Gpt2,
  inputs: ForwardInputs,
): Variable => (model.family === "llama" ? llama(r, model, inputs) : gpt2(r, model, inputs));

/**
 * Logits of every token, (B*T, V), or of every sequence of a model that classifies, (B, classes); into `out`, for the
 * host to read, if it is given.
 */
export function recordLogits(r: Recorder, model: Model, inputs: ForwardInputs, out?: Tensor): Variable {
  const options = out ? { out } : {};
  return model.family === "bert"
    ? bert(r, model, inputs, options)
    : linear(r, hiddenStates(r, model, inputs), model.lm_head, options);
}

/**
 * Records the loss of each token (B*T labels), or of each sequence of a model that classifies (B labels), whose logits
 * go into `logits` if it is given.
 */
export function recordLoss(
  r: Recorder,
  model: Model,
  inputs: ForwardInputs,
  labels: Tensor,
  schedule: Tensor,
  loss: LossTarget,
  logits?: Tensor,
): void {
  if (model.family === "bert") crossEntropyOfLogits(r, recordLogits(r, model, inputs, logits), labels, schedule, loss);
  else crossEntropy(r, hiddenStates(r, model, inputs), model.lm_head, labels, schedule, loss);
}
