import { embedding } from "../ops/embedding.ts";
import { linear } from "../ops/linear.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import type { Architecture, LanguageModelHead, Model, ModelOptions } from "./architecture.ts";
import { BERT } from "./bert.ts";
import type { Json } from "./config_reader.ts";
import { GPT2 } from "./gpt2.ts";
import type { ForwardInputs } from "./forward_inputs.ts";
import { LLAMA } from "./llama.ts";

/** The families that are built in. */
export const ARCHITECTURES: readonly Architecture[] = [LLAMA, GPT2, BERT];

/**
 * The family of the model that a config.json describes.
 * @throws RangeError for a model_type that belongs to none of the given families.
 */
export function architectureOf(json: Json, architectures: readonly Architecture[] = ARCHITECTURES): Architecture {
  const type = json["model_type"];
  const found = architectures.find(({ types }) => (types as readonly unknown[]).includes(type));
  if (found) return found;
  throw new RangeError(
    `Cannot load a model of model_type ${JSON.stringify(type) ?? "nothing"}: expected one of ${
      architectures.flatMap(({ types }) => types).join(", ")
    }`,
  );
}

/** Options of `createModel`. */
export interface CreateOptions<M extends Model> extends Partial<ModelOptions> {
  /** The family; by default the one that is built in for the model_type. */
  readonly architecture?: Architecture<M>;
}

/**
 * The model that a config.json describes.
 * @throws RangeError for an unknown model_type, missing or impossible numbers, and factors in a family that has none.
 */
export function createModel<M extends Model = Model>(
  json: Json,
  { architecture = architectureOf(json) as Architecture<M>, type = "f32", factors }: CreateOptions<M> = {},
): M {
  if (factors && !architecture.supportsLowRank) {
    throw new RangeError(
      `Cannot factorise a model of model_type "${String(json["model_type"])}": expected one of ${
        ARCHITECTURES.filter(({ supportsLowRank }) => supportsLowRank).flatMap(({ types }) => types).join(", ")
      }. Leave out factor_rank`,
    );
  }
  return architecture.create(architecture.parse(json), { type, factors });
}

/** A model that predicts tokens. */
export type LanguageModel = Model & { readonly head: LanguageModelHead };

/** True for a model that predicts tokens, false for one that classifies. */
export const isLanguageModel = (model: Model): model is LanguageModel => model.head.task === "CAUSAL_LM";

/** Names of the classes of a model that classifies; undefined for a language model. */
export const classesOf = ({ head }: Model): readonly string[] | undefined =>
  head.task === "SEQ_CLS" ? head.classes : undefined;

/**
 * Records a forward pass to the logits of every token, (B*T, V), or of every sequence of a model that classifies,
 * (B, classes); into `out`, for the host to read, if it is given.
 */
export function recordLogits(r: Recorder, model: Model, inputs: ForwardInputs, out?: Tensor): Variable {
  if (!isLanguageModel(model)) return model.architecture.forward(r, model, inputs, out);
  return linear(r, model.architecture.forward(r, model, inputs), model.head.weight, out ? { out } : {});
}

/**
 * Records a forward pass to the logits of the tokens that follow the given positions, (P, V), into `out`.
 * @param positions (P) u32, places in B*T.
 */
export function recordNextLogits(
  r: Recorder,
  model: LanguageModel,
  inputs: ForwardInputs,
  positions: Tensor,
  out: Tensor,
): void {
  const hidden = model.architecture.forward(r, model, inputs);
  linear(r, embedding(r, hidden, positions), model.head.weight, { out });
}
