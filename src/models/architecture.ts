import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import type { Json } from "./config_reader.ts";
import type { Factors } from "./low_rank_linear.ts";
import type { ForwardInputs } from "./forward_inputs.ts";
import { type Parameter, parametersIn, type WeightType } from "./parameter.ts";

/** The numbers of a config.json that every model has. */
export interface ModelConfig {
  /** Number of token ids. */
  readonly vocab_size: number;
}

/** The tables that a model looks its inputs up in: (rows, C) each. */
export interface Embeddings {
  /** One row a token of the vocabulary. */
  readonly tokens: Parameter;
  /** One row a position, of models with learned positions. */
  readonly positions?: Parameter;
  /** One row a text of a pair, of models that tell the texts apart. */
  readonly token_types?: Parameter;
}

/** The head of a model that predicts the next token. */
export interface LanguageModelHead {
  /** The task, by PEFT's name. */
  readonly task: "CAUSAL_LM";
  /** (V, C): logits are hidden states times its transpose. The token embedding itself when tied. */
  readonly weight: Parameter;
}

/** The head of a model that classifies sequences. */
export interface ClassificationHead {
  /** The task, by PEFT's name. */
  readonly task: "SEQ_CLS";
  /** Names of the classes, in the order of the logits. */
  readonly classes: readonly string[];
  /** Names of its linear layers, the last one being the classifier: they are never adapted or quantized. */
  readonly layers: readonly string[];
  /** Names under which PEFT saves the head's modules, the classifier's first. */
  readonly modules: readonly string[];
  /** Name of the model's class in transformers. */
  readonly class_name: string;
}

/** A model as plain data: its configuration and the tree of its parameters. It holds no numbers. */
export interface Model {
  /** The family of models that it belongs to. */
  readonly architecture: Architecture;
  /** The settings of its architecture, by config.json's names. */
  readonly config: ModelConfig;
  /** The token embedding and what is added to it. */
  readonly embeddings: Embeddings;
  /** The last layers, which depend on the task. */
  readonly head: LanguageModelHead | ClassificationHead;
  /** Every distinct parameter, in the order of the tree. */
  readonly parameters: readonly Parameter[];
}

/** Choices that config.json leaves open. */
export interface ModelOptions {
  /** Storage format of matrices. */
  readonly type: WeightType;
  /** Makes linear layers pairs of low-rank factors; only where `supportsLowRank`. */
  readonly factors?: Factors | undefined;
}

/** A constant input of a forward pass: the tensor, and the numbers to write to it once. */
export interface Table {
  /** The tensor whose values are given. */
  readonly tensor: Tensor;
  /** Computes the values, once, when they are uploaded. */
  values(): Float32Array<ArrayBuffer>;
}

/** The names of a family's tensors in files. */
export interface FileNames<C> {
  /** Prefix that files of a model saved without its head lack, e.g. "model.". */
  prefix(config: C): string;
  /** Matches tensors that are no weights: masks and tables of older versions, heads for other tasks. */
  ignored(config: C): RegExp;
  /** True for a parameter that files may lack, since a new head is drawn from the seed. */
  mayBeNew?(name: string): boolean;
  /** Other spellings of a name in older files. */
  aliases?(name: string): readonly string[];
}

/**
 * A family of models: everything that the library must know to load, train, adapt, use and save its members. llama.ts,
 * gpt2.ts and bert.ts are the families that are built in; any object of this type is as good.
 */
export interface Architecture<M extends Model = Model> {
  /** Values of `model_type` in config.json. */
  readonly types: readonly string[];
  /**
   * Reads config.json.
   * @throws RangeError for a missing or impossible number, or anything that no kernel computes.
   */
  parse(json: Json): M["config"];
  /** Makes the parameters, with Hugging Face's names and shapes. */
  create(config: M["config"], options: ModelOptions): M;
  /**
   * Records a forward pass. Returns the hidden states that a language model's head reads, (B*T, C), or the logits of a
   * classifier, (B, classes), in `out` where it is given.
   */
  forward(r: Recorder, model: M, inputs: ForwardInputs, out?: Tensor): Variable;
  /** Most tokens of a sequence. */
  maxLength(config: M["config"]): number;
  /** Tables for sequences of T tokens, which `forward` finds by name in `inputs.tables`. */
  tables?(config: M["config"], T: number): Readonly<Record<string, Table>>;
  /** First row of the position table that a token may have, 0 by default. */
  positionOffset?(config: M["config"]): number;
  /** True where attention is bidirectional, so that bounds of documents must always be given to mask padding. */
  readonly bidirectional?: boolean;
  /** True if `create` takes factors. */
  readonly supportsLowRank?: boolean;
  /** Keys of config.json that hold a share of numbers to drop in training. */
  readonly dropouts: readonly string[];
  /** Linear layers that LoRA adapts by default (PEFT's TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING). */
  readonly lora_targets: readonly string[];
  /** The names and transforms of its tensors in files. */
  readonly files: FileNames<M["config"]>;
  /** config.json of a model that is made here, for families that can be trained from scratch. */
  toJson?(config: M["config"]): Json;
}

/** Completes a model: the tree of its parts with the list of its parameters. */
export function defineModel<P extends Omit<Model, "parameters">>(
  parts: P,
): P & { readonly parameters: readonly Parameter[] } {
  const { architecture: _architecture, config: _config, ...tree } = parts;
  return { ...parts, parameters: parametersIn(tree) };
}
