// A llama's training step is recorded and planned here, without a GPU.

import { OPTIMIZERS } from "../../src/optim/presets.ts";
import { assert, assertEquals, test } from "../harness.ts";
import { bytesByRole } from "../../src/plan/ledger.ts";
import { bytesOf } from "../../src/plan/tensor.ts";
import { planPrograms } from "../../src/train/programs.ts";
import { type Options, recordLlama } from "./run_llama.ts";

function facts(options: Options) {
  const { model, train, programs } = recordLlama(options);
  return {
    model,
    train,
    bytes: bytesByRole(
      planPrograms({ train: programs.train }).buffers,
    ),
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

test("a frozen layer has no gradient, no state and no backward pass", () => {
  const everything = facts({}), { model, train, bytes } = facts({ frozen: /embed|layers\.[01]\./ });
  const frozen = model.parameters.filter(({ needsGradient }) => !needsGradient),
    trained = model.parameters.filter(({ needsGradient }) => needsGradient);
  assertEquals([frozen.length, trained.length], [19, 11], "embedding and two layers of nine; one layer, norm and head");
  assertEquals([...train.gradients.keys()], trained);
  assertEquals(bytes.state, 2 * bytes.trainable, "two moments for what is trained");
  assertEquals(bytes.frozen + bytes.trainable, everything.bytes.trainable + everything.bytes.frozen);
  for (const { value } of frozen) {
    const uses = train.steps.filter(({ tensors }) => tensors.includes(value)).length;
    assertEquals(uses, 1, `${value.label}: the forward pass alone reads it`);
  }
  const below = train.steps.filter(({ tensors }) =>
    tensors.some(({ label }) => /^d\(.*layers\.[01]\.|^d\(embedding/.test(label))
  );
  assertEquals(below.map(({ kernel }) => kernel.name), [], "dispatches for gradients below the trained layer");
  assert(bytes.activation < everything.bytes.activation, "what only their backward pass would read is not kept");
});

test("a frozen layer above a trained one passes gradients on and gets none", () => {
  const { model, train } = facts({ frozen: /layers\.2\.|norm\.weight|lm_head/ });
  assert(
    model.parameters.filter(({ needsGradient }) => needsGradient).every((parameter) => train.gradients.get(parameter)),
    "everything trained has a gradient",
  );
  const written = new Set(
    train.steps.flatMap(({ kernel, tensors }) =>
      tensors.filter((_, i) => Object.values(kernel.bindings)[i] === "read_write")
    ),
  );
  for (const { value, needsGradient } of model.parameters) {
    assertEquals(written.has(value), needsGradient, `${value.label} is written`);
  }
});

test(
  "updates in the backward pass: gradients take the bytes of the largest parameter; clipping or accumulation " +
    "keep all",
  () => {
    const sizes = recordLlama({}).model.parameters.map(({ value }) => bytesOf(value));
    assertEquals(facts({}).bytes.gradient, Math.max(...sizes));
    assertEquals(facts({ max_grad_norm: 1 }).bytes.gradient, sum(sizes));
    assertEquals(facts({ accumulate: 2 }).bytes.gradient, sum(sizes));
  },
);

test(
  "under every optimizer updates in the backward pass need no more gradient bytes than the largest " +
    "parameter has",
  () => {
    const largest = Math.max(...recordLlama({}).model.parameters.map(({ value }) => bytesOf(value)));
    for (const optim of OPTIMIZERS) {
      const { gradient } = facts({ optim }).bytes;
      assertEquals(gradient, largest, optim);
    }
  },
);

test("a tied head is one parameter with one gradient and one state, updated once", () => {
  for (const options of [{}, { max_grad_norm: 1 }, { accumulate: 2 }]) {
    const { model, train } = facts({ ...options, config: { tie_word_embeddings: true } });
    assertEquals(model.head.weight, model.embeddings.tokens);
    assertEquals(model.parameters.length, 29);
    const updates = train.steps.filter(({ kernel, tensors }) =>
      kernel.name === "update" && tensors.includes(model.embeddings.tokens.value)
    );
    assertEquals(updates.length, 1, `updates of the embedding ${JSON.stringify(options)}`);
    const last = train.steps.findLastIndex(({ kernel }) => kernel.name.startsWith("embedding_backward"));
    assert(train.steps.indexOf(updates[0]!) > last, "after the embedding's own gradient");
  }
});

test("checkpointing keeps fewer activations, for one more forward pass", () => {
  const plain = facts({ T: 64 }), checkpointed = facts({ T: 64, gradient_checkpointing: true });
  assert(
    checkpointed.bytes.activation < 0.6 * plain.bytes.activation,
    `${checkpointed.bytes.activation} bytes, ${plain.bytes.activation} without`,
  );
  assert(checkpointed.train.steps.length > plain.train.steps.length, "the layers run twice");
  assertEquals(
    { ...checkpointed.bytes, activation: 0, input: 0 },
    { ...plain.bytes, activation: 0, input: 0 },
    "nothing else changes",
  );
});

test("a longer accumulation costs inputs, not activations", () => {
  const two = facts({ accumulate: 2 }).bytes, five = facts({ accumulate: 5 }).bytes;
  assertEquals(five.activation, two.activation);
  assertEquals([five.gradient, five.state], [two.gradient, two.state]);
});
