// Objectives count and write what their losses are means of, and refuse models of another kind. No GPU.

import { IGNORED } from "../../src/data/ignored.ts";
import { createModel } from "../../src/models/model.ts";
import { Recorder } from "../../src/plan/recorder.ts";
import { classification, nextToken, objectiveOf } from "../../src/train/objective.ts";
import { assert, assertEquals, assertThrows, test } from "../harness.ts";

const SHAPE = { B: 2, T: 3 };
const LLAMA = { model_type: "llama", vocab_size: 8, hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1 };
const llama = createModel({ ...LLAMA, num_attention_heads: 1 });
const roberta = createModel({
  model_type: "roberta",
  vocab_size: 8,
  hidden_size: 8,
  intermediate_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 1,
  type_vocab_size: 1,
  max_position_embeddings: 8,
  pad_token_id: 1,
  num_labels: 3,
});

test("next tokens have a loss each, classes one for a sequence; labels that are ignored do not count", () => {
  const batch = { input_ids: new Uint32Array(6), labels: Uint32Array.of(1, IGNORED, 3, IGNORED, IGNORED, 0) };
  assertEquals([nextToken().losses(SHAPE), nextToken().count(batch)], [6, 3]);
  assertEquals([classification().losses(SHAPE), classification().count({ ...batch, labels: Uint32Array.of(2, 1) })], [
    2,
    2,
  ]);
  assert(nextToken().write(batch)["labels"] === batch.labels, "other labels are written");
  assertEquals(nextToken().inputs("batch 0", SHAPE)["labels"]!.shape, [6]);
  assertEquals(classification().inputs("batch 0", SHAPE)["labels"]!.shape, [2]);
});

test("a model gets the objective that it was made for", () => {
  assertEquals([objectiveOf(llama).losses(SHAPE), objectiveOf(roberta).losses(SHAPE)], [6, 2]);
  const r = new Recorder({ target: "portable", training: false }), recording = { model: roberta, tensors: {} };
  assertThrows(() => nextToken().record(r, recording as never), "expected a language model");
});

test("the scores of classes take the first of the largest logits, over all batches", () => {
  const scores = classification().scores!(roberta), input_ids = new Uint32Array(6);
  const add = (labels: number[], logits: number[]): void =>
    scores.add({ input_ids, labels: Uint32Array.from(labels) }, { logits: Float32Array.from(logits) });
  add([0, 2], [5, 5, 1, 0, 0, 9]);
  add([1, 1], [1, 2, 0, 3, 2, 1]);
  assertEquals(scores.result()["accuracy"], 0.75);
  assertEquals(classification().outputs!(roberta, SHAPE)["logits"]!.shape, [2, 3]);
  assertEquals(nextToken().scores, undefined);
});
