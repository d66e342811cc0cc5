import { DeviceLostError, type Gpu, openGpu } from "../../src/gpu/device.ts";
import { OPTIMIZERS } from "../../src/optim/presets.ts";
import { ROLES } from "../../src/plan/tensor.ts";
import { type Control, NonFiniteLossError, type TrainEvent } from "../../src/train/events.ts";
import { train } from "../../src/train/loop.ts";
import { assert, assertClose, assertEquals, assertRejects, test } from "../harness.ts";
import { type EventOf, NEVER, ofType, prepareTiny, trainTiny } from "./tiny.ts";
import { testGpu } from "../test_gpu.ts";

const upTo = (count: number): number[] => [...Array(count).keys()].map((n) => n + 1);
const multiples = (of: number, last: number): number[] => [...upTo(last - 1).filter((step) => step % of === 0), last];
const stepsOf = (events: readonly TrainEvent[], type: "step" | "evaluation" | "sample"): number[] =>
  ofType(events, type).map(({ step }) => step);
const bits = (values: readonly number[]): Float64Array => Float64Array.from(values);

const CADENCES = [
  { max_steps: 7, logging_steps: 1, eval_steps: 1, sample_steps: 1 },
  { max_steps: 7, logging_steps: 3, eval_steps: 2, sample_steps: 5 },
  { max_steps: 7, logging_steps: 7, eval_steps: 4, sample_steps: 4 },
  { max_steps: 7, logging_steps: 5, eval_steps: 7, sample_steps: 3 },
  { max_steps: 7, logging_steps: 100, eval_steps: 100, sample_steps: 100 },
] as const;

test(
  "whatever the cadence, each step is told once, in order, before what is measured after it, and the losses are " +
    "the same",
  async () => {
    let expected: readonly number[] | undefined;
    for (const cadence of CADENCES) {
      const { events, losses } = await trainTiny(cadence), name = JSON.stringify(cadence), { max_steps } = cadence;
      assertEquals(stepsOf(events, "step"), upTo(max_steps), `steps of ${name}`);
      assertEquals(stepsOf(events, "evaluation"), multiples(cadence.eval_steps, max_steps), `evaluations of ${name}`);
      assertEquals(stepsOf(events, "sample"), multiples(cadence.sample_steps, max_steps), `samples of ${name}`);
      let last = 0;
      for (const event of events) {
        if (event.type === "step") last = event.step;
        if (event.type === "evaluation" || event.type === "sample") {
          assertEquals(event.step, last, `${event.type} of ${name} comes after step`);
        }
      }
      assertEquals(events.slice(-3).map(({ type }) => type), ["evaluation", "sample", "end"], name);
      assertEquals(bits(losses), bits(expected ??= losses), `losses of ${name}`);
    }
  },
);

test("compiling is told first and counts up to its total", async () => {
  const { events } = await trainTiny({ max_steps: 1 });
  const compiling = ofType(events, "compiling"), total = compiling[0]!.total;
  assert(total > 5, `only ${total} kernels`);
  assertEquals(events.slice(0, total), upTo(total).map((done) => ({ type: "compiling", done, total })));
});

test("the same seed gives the same bits, another seed other losses", async () => {
  const [first, again, other] = [
    await trainTiny({ seed: 1 }),
    await trainTiny({ seed: 1 }),
    await trainTiny({ seed: 2 }),
  ];
  assertEquals(bits(first.losses), bits(again.losses));
  assertEquals(ofType(first.events, "sample"), ofType(again.events, "sample"));
  assertEquals(first.summary.eval_loss, again.summary.eval_loss);
  first.losses.forEach((loss, i) => assert(loss !== other.losses[i], `step ${i + 1} has the loss of another seed`));
});

test("the numbers of a step are numbers, the learning rate is that of its schedule", async () => {
  const { events } = await trainTiny({
    max_steps: 4,
    warmup_steps: 2,
    learning_rate: 0.01,
    lr_scheduler_type: "linear",
    lr_scheduler_kwargs: { min_lr_rate: 0 },
  });
  const steps = ofType(events, "step");
  assertClose(steps.map(({ learning_rate }) => learning_rate), [0.005, 0.01, 0.01, 0.005], {
    name: "learning rates",
    relative: 1e-12,
  });
  for (const { loss, grad_norm, tokens_per_second, eta_seconds, skipped } of steps) {
    assert(
      loss > 0 && loss < 10 && grad_norm > 0 && grad_norm < 100 && tokens_per_second > 0 && eta_seconds >= 0 &&
        !skipped,
      JSON.stringify({ loss, grad_norm, tokens_per_second, eta_seconds, skipped }),
    );
  }
  assertEquals(steps.at(-1)!.eta_seconds, 0);
});

test("the summary has every number the command line promises", async () => {
  const { summary, losses, events } = await trainTiny({ max_steps: 5, logging_steps: 3 });
  const {
    steps,
    train_loss,
    eval_loss,
    labels,
    tokens_per_second,
    planned_bytes,
    allocated_bytes,
    adapter,
    parameters,
    trainable_parameters,
    skipped_steps,
  } = summary;
  assertEquals([steps, labels, parameters, trainable_parameters, skipped_steps], [5, 32, 6448, 6448, 0]);
  assertClose([train_loss], [losses.slice(-3).reduce((a, b) => a + b, 0) / 3], { name: "train_loss", relative: 1e-12 });
  assertEquals(eval_loss, ofType(events, "evaluation").at(-1)!.eval_loss);
  assert(tokens_per_second > 0 && Number.isFinite(tokens_per_second), `tokens_per_second ${tokens_per_second}`);
  assert(adapter.length > 0, "no adapter");
  assertEquals(Object.keys(planned_bytes), [...ROLES]);
  assertEquals(allocated_bytes, planned_bytes);
  for (const role of ["trainable", "gradient", "state", "activation", "input", "output"] as const) {
    assert(planned_bytes[role] > 0, `no bytes for ${role}`);
  }
  const { submits_per_step, buffers_created_per_step, bind_groups_created_per_step, pipelines_created_per_step } =
    summary;
  assertEquals([submits_per_step, buffers_created_per_step, bind_groups_created_per_step, pipelines_created_per_step], [
    1,
    0,
    0,
    0,
  ]);
});

for (const stopAfter of [1, 4]) {
  test(`a run stopped after step ${stopAfter} ends in good order, with every step told`, async () => {
    for (const logging_steps of [1, 10]) {
      let requests = 0;
      // Asked before each step, and once more after it.
      const { events, losses, summary } = await trainTiny({ max_steps: 50, logging_steps }, {
        ...NEVER,
        stopped: () => ++requests > 2 * stopAfter - 1,
      });
      assertEquals(stepsOf(events, "step"), upTo(stopAfter));
      assertEquals([summary.steps, losses.length], [stopAfter, stopAfter]);
      assertEquals(events.slice(-3).map(({ type }) => type), ["evaluation", "sample", "end"]);
      assert(Number.isFinite(summary.train_loss) && Number.isFinite(summary.eval_loss), JSON.stringify(summary));
    }
  });
}

test("a run stopped before its first step ends with none", async () => {
  const { events, summary } = await trainTiny({}, { ...NEVER, stopped: () => true });
  assertEquals([events.filter(({ type }) => type !== "compiling").map(({ type }) => type), summary.steps], [
    ["end"],
    0,
  ]);
  assertEquals(summary.allocated_bytes, summary.planned_bytes);
});

test("a paused run does nothing until it may go on, and then ends as if it had not been paused", async () => {
  let go: () => void = () => {}, unpaused = Promise.resolve(), waiting = false;
  const control: Control = {
    stopped: () => false,
    unpaused: () => {
      waiting = true;
      return unpaused.then(() => void (waiting = false));
    },
  };
  const gpu = await testGpu(), run = prepareTiny(gpu, { logging_steps: 1 }), events: TrainEvent[] = [];
  const running = train(gpu, run, control, (event) => {
    events.push(event);
    if (event.type === "step" && event.step === 3) unpaused = new Promise((resolve) => (go = resolve));
  });
  while (!(waiting && stepsOf(events, "step").length === 3)) await new Promise((resolve) => setTimeout(resolve, 5));
  const { submits } = await countSubmits(() => new Promise((resolve) => setTimeout(resolve, 60)));
  assertEquals([stepsOf(events, "step"), submits], [[1, 2, 3], 0]);
  go();
  (await running).destroy();
  const { losses } = await trainTiny({ logging_steps: 1 });
  assertEquals(bits(ofType(events, "step").map(({ loss }) => loss)), bits(losses));
});

async function countSubmits(body: () => Promise<void>): Promise<{ submits: number }> {
  const prototype = GPUQueue.prototype, original = prototype.submit;
  let submits = 0;
  prototype.submit = function (...args) {
    submits++;
    return original.apply(this, args);
  };
  try {
    await body();
  } finally {
    prototype.submit = original;
  }
  return { submits };
}

test("a listener that fails ends the run with its error", async () => {
  const gpu = await testGpu();
  const failing = (type: TrainEvent["type"]) =>
  (
    event: TrainEvent,
  ): Promise<void> => (event.type === type ? Promise.reject(new Error(`disk full at ${type}`)) : Promise.resolve());
  for (const type of ["step", "evaluation", "end"] as const) {
    await assertRejects(() => train(gpu, prepareTiny(gpu), NEVER, failing(type)), `disk full at ${type}`);
  }
});

test("a loss that is not finite ends the run, naming the step and the first bad tensor", async () => {
  const gpu = await testGpu(), reported: number[] = [];
  const settings = {
    learning_rate: 1e30,
    lr_scheduler_type: "constant",
    warmup_steps: 0,
    max_grad_norm: 0,
    max_steps: 20,
  };
  const error = await assertRejects(
    () =>
      train(
        gpu,
        prepareTiny(gpu, settings),
        NEVER,
        (event) => void (event.type === "step" && reported.push(event.step)),
      ),
    "The loss of step ",
  );
  assert(error instanceof NonFiniteLossError, error.name);
  const step =
    /^The loss of step (\d+) is (?:NaN|-?Infinity); first bad tensor: \S+ \([\w ]+\)\. Use a smaller learning_rate/
      .exec(error.message)?.[1];
  assert(step !== undefined, error.message);
  assertEquals(reported, upTo(Number(step) - 1));
});

test(
  "when the device is lost in the middle of a wait, the run hears of it, and of a device that cannot be opened " +
    "again",
  async () => {
    const real = await testGpu(), original = GPUBuffer.prototype.mapAsync;
    const { promise: lost, resolve: lose } = Promise.withResolvers<DeviceLostError>();
    const gpu: Gpu = { ...real, lost }, waits: number[] = [];
    const reopen = (): Promise<Gpu> => Promise.reject(new Error("no adapter any more"));
    const running = train(gpu, prepareTiny(gpu, { logging_steps: 1 }), NEVER, (event) => {
      if (event.type !== "step" || event.step !== 2) return;
      // As on a real loss: what was asked of the device is never answered.
      GPUBuffer.prototype.mapAsync = () => {
        setTimeout(() => lose(new DeviceLostError("unknown", "the driver was reset")), 10);
        return new Promise(() => {});
      };
    }, { recovery: { reopen, wait: (seconds) => Promise.resolve(void waits.push(seconds)) } });
    try {
      await assertRejects(() => running, "no adapter any more");
      assertEquals(waits, [1, 2, 4], "opening the device was tried again, later each time");
    } finally {
      GPUBuffer.prototype.mapAsync = original;
    }
  },
);

test(
  "when the device is destroyed under it, a run that cannot go on ends with an error and " +
    "does not hang",
  async () => {
    const gpu = await openGpu(), reopen = (): Promise<Gpu> => Promise.reject(new Error("no adapter any more"));
    const running = train(gpu, prepareTiny(gpu, { logging_steps: 1, max_steps: 50 }), NEVER, (event) => {
      if (event.type === "step" && event.step === 2) gpu.device.destroy();
    }, { recovery: { reopen, wait: () => Promise.resolve() } });
    const hung = new Promise<never>((_, reject) => setTimeout(() => reject(new Error("the run hangs")), 10_000));
    await assertRejects(() => Promise.race([running, hung]), "no adapter any more");
  },
);

for (const optim of OPTIMIZERS) {
  test(`${optim} learns, with clipping and with its updates in the backward pass`, async () => {
    for (const max_grad_norm of [1, 0]) {
      const { losses } = await trainTiny({ optim, max_grad_norm, max_steps: 30, warmup_steps: 0.1 });
      const mean = (part: readonly number[]): number => part.reduce((a, b) => a + b, 0) / part.length;
      const [before, after] = [mean(losses.slice(0, 5)), mean(losses.slice(-5))];
      assert(after < before - 0.02, `max_grad_norm ${max_grad_norm}: the loss went from ${before} to ${after}`);
    }
  });
}

test("gradient checkpointing gives the same losses with fewer bytes of activations", async () => {
  const settings = { num_hidden_layers: 3, max_steps: 4 };
  const plain = await trainTiny(settings), thrifty = await trainTiny({ ...settings, gradient_checkpointing: true });
  assertEquals(bits(thrifty.losses), bits(plain.losses));
  const saved = plain.summary.planned_bytes.activation - thrifty.summary.planned_bytes.activation;
  assert(saved > 0, `${saved} bytes saved`);
});

test("two micro-batches of two are a batch of four", async () => {
  const whole = await trainTiny({ per_device_train_batch_size: 4 }),
    parts = await trainTiny({ per_device_train_batch_size: 2, gradient_accumulation_steps: 2 });
  // The same sums in another order. Measured over four seeds: 9e-8 for losses, 1.2e-7 for norms, one rounding of f32
  // each.
  assertClose(parts.losses, whole.losses, { name: "losses", relative: 1e-6 });
  assertClose(normsOf(parts.events), normsOf(whole.events), { name: "gradient norms", relative: 1e-6 });
  assert(
    parts.summary.planned_bytes.activation < whole.summary.planned_bytes.activation,
    "accumulation saves no activations",
  );
});

const normsOf = (events: readonly TrainEvent[]): number[] =>
  ofType(events, "step").map(({ grad_norm }: EventOf<"step">) => grad_norm);
