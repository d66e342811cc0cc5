/**
 * Models as plain data: families, their parameters and forward passes, adapters, freezing.
 *
 * @module
 */
export {
  type Architecture,
  type ClassificationHead,
  defineModel,
  type Embeddings,
  type FileNames,
  type LanguageModelHead,
  type Model,
  type ModelConfig,
  type ModelOptions,
  type Table,
} from "../models/architecture.ts";
export { BERT, type BertForSequenceClassification, type BertLayer } from "../models/bert.ts";
export type { BertConfig } from "../models/bert_config.ts";
export { ConfigReader, type Json } from "../models/config_reader.ts";
export { type Factors, type LowRankLinear } from "../models/low_rank_linear.ts";
export { freeze, type Freezing } from "../models/freeze.ts";
export { GPT2, type Gpt2, type Gpt2Config, type Gpt2Layer } from "../models/gpt2.ts";
export { applyDropout, type DropoutSource, type ForwardInputs, type Indices } from "../models/forward_inputs.ts";
export {
  applyLinear,
  type ApplyLinearOptions,
  createLinear,
  type CreateLinearOptions,
  type Linear,
  type LinearLayer,
  type LoraFactors,
} from "../models/linear_layer.ts";
export { LLAMA, type Llama, type LlamaLayer } from "../models/llama.ts";
export type { LlamaConfig } from "../models/llama_config.ts";
export { type LoraConfig, withLora } from "../models/lora.ts";
export {
  architectureOf,
  ARCHITECTURES,
  classesOf,
  createModel,
  type CreateOptions,
  isLanguageModel,
  type LanguageModel,
  recordLogits,
  recordNextLogits,
} from "../models/model.ts";
export { type LayerNorm, norm } from "../models/norm.ts";
export {
  countParameters,
  type Initial,
  initialValues,
  type Parameter,
  parameter,
  type ParameterOptions,
  trainedParameters,
  type WeightType,
} from "../models/parameter.ts";
export { inLayer } from "../models/parts.ts";
export { type RopeParameters, ropeTable, ropeTableTensor } from "../models/rope_table.ts";
