import { IGNORED } from "../data/ignored.ts";
import type { Batch, ModelBatch } from "../data/batch.ts";
import type { Model } from "../models/architecture.ts";
import type { ForwardInputs } from "../models/forward_inputs.ts";
import { isLanguageModel } from "../models/model.ts";
import { crossEntropy, crossEntropyOfLogits, type LossTarget } from "../ops/cross_entropy.ts";
import type { Data } from "../plan/pieces.ts";
import type { Recorder } from "../plan/recorder.ts";
import { type Tensor, tensor } from "../plan/tensor.ts";
import { type ClassificationMetrics, classificationMetrics } from "./classification_metrics.ts";

/** Sequences of a forward pass, and tokens in each. */
export interface SequenceShape {
  /** Sequences in a batch. */
  readonly B: number;
  /** Tokens in a sequence. */
  readonly T: number;
}

/** Tensors of an objective by name. */
export type ObjectiveTensors = Readonly<Record<string, Tensor>>;

/** The places of one recorded loss. */
export interface LossRecording {
  /** The model whose outputs it scores. */
  readonly model: Model;
  /** The inputs of the model's forward pass. */
  readonly inputs: ForwardInputs;
  /** The objective's own inputs. */
  readonly tensors: ObjectiveTensors;
  /** The objective's outputs, in an evaluation; undefined in training. */
  readonly outputs: ObjectiveTensors | undefined;
  /** The numbers of the step (shaders/lib/schedule.wgsl): gradients are scaled by `loss_scale`. */
  readonly schedule: Tensor;
  /** Takes the losses of the batch, `losses(shape)` of them; those that do not count are 0. */
  readonly loss: LossTarget;
}

/** Scores of an evaluation beside its mean loss, gathered batch by batch. */
export interface Scores<B> {
  /** Counts one batch. `outputs` hold what the objective's outputs are after it, by name. */
  add(batch: B, outputs: Readonly<Record<string, Float32Array>>): void;
  /** The metrics over all batches so far, by name. */
  result(): Readonly<Record<string, number>>;
}

/**
 * The goal that a model is trained for: which numbers a batch has beside its tokens, and how they and the model's
 * output become losses. The loss of a step is the mean over all losses that count in its micro-batches.
 */
export interface Objective<B extends ModelBatch = Batch> {
  /** Input tensors beside the model's own, labels for example. `label` begins the names of tensors. */
  inputs(label: string, shape: SequenceShape): ObjectiveTensors;
  /** The numbers of a batch for these inputs, by the same names. */
  write(batch: B): Readonly<Record<string, Data>>;
  /** Losses that a batch has: one for each token, sequence or pair. */
  losses(shape: SequenceShape): number;
  /** The number of them that count. */
  count(batch: B): number;
  /** Records the forward pass and the losses, and in training how the losses run backward. */
  record(r: Recorder, recording: LossRecording): void;
  /** Tensors of role "output" that an evaluation reads after each batch. */
  outputs?(model: Model, shape: SequenceShape): ObjectiveTensors;
  /** Begins the scores of an evaluation. */
  scores?(model: Model): Scores<B>;
}

const countLabels = ({ labels }: Batch): number =>
  labels.reduce((count, label) => count + (label === IGNORED ? 0 : 1), 0);

/** The loss of each next token, -log p(label), of a language model: (B*T) labels. */
export const nextToken = (): Objective => ({
  inputs: (label, { B, T }) => ({ labels: tensor(`${label} labels`, [B * T], "input", "u32") }),
  write: ({ labels }) => ({ labels }),
  losses: ({ B, T }) => B * T,
  count: countLabels,
  record(r, { model, inputs, tensors: { labels }, schedule, loss }) {
    if (!isLanguageModel(model)) {
      throw new RangeError("Cannot predict next tokens with a model that classifies: expected a language model");
    }
    crossEntropy(r, model.architecture.forward(r, model, inputs), model.head.weight, labels!, schedule, loss);
  },
});

/** The loss of each sequence's class, -log p(label), of a model that classifies: (B) labels. */
export const classification = (): Objective => ({
  inputs: (label, { B }) => ({ labels: tensor(`${label} labels`, [B], "input", "u32") }),
  write: ({ labels }) => ({ labels }),
  losses: ({ B }) => B,
  count: countLabels,
  record(r, { model, inputs, tensors: { labels }, outputs, schedule, loss }) {
    const logits = model.architecture.forward(r, model, inputs, outputs?.["logits"]);
    crossEntropyOfLogits(r, logits, labels!, schedule, loss);
  },
  outputs: ({ head }, { B }) => ({
    logits: tensor("evaluation logits", [B, head.task === "SEQ_CLS" ? head.classes.length : 1], "output"),
  }),
  scores: ({ head }) => classScores(head.task === "SEQ_CLS" ? head.classes.length : 1),
});

function classScores(classes: number): Scores<Batch> {
  const predictions: number[] = [], labels: number[] = [];
  return {
    add(batch, { logits }) {
      labels.push(...batch.labels);
      batch.labels.forEach((_, row) =>
        predictions.push(indexOfLargest(logits!.subarray(row * classes, (row + 1) * classes)))
      );
    },
    result: (): ClassificationMetrics & Record<string, number> => ({
      ...classificationMetrics(predictions, labels, classes),
    }),
  };
}

/** The first of the largest. */
const indexOfLargest = (numbers: Float32Array): number =>
  numbers.reduce((best, number, index) => (number > numbers[best]! ? index : best), 0);

/** The objective that a model is made for. */
export const objectiveOf = (model: Model): Objective => (isLanguageModel(model) ? nextToken() : classification());
