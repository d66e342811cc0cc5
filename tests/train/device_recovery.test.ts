// Devices that are lost on the way: the run goes on with the same losses, as if nothing had happened.

import { assert, assertEquals, assertRejects, random, runtime, test } from "../harness.ts";
import { NEVER, ofType, prepareTiny, type Settings } from "./tiny.ts";
import { DeviceLostError, type Gpu, openGpu } from "../../src/gpu/device.ts";
import { fillNormal } from "../../src/random/philox.ts";
import { size } from "../../src/plan/tensor.ts";
import type { Control, TrainEvent } from "../../src/train/events.ts";
import { train } from "../../src/train/loop.ts";
import { Recovery, type RecoveryOptions } from "../../src/train/device_recovery.ts";
import type { LoadWeights } from "../../src/train/session.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import { testGpu } from "../test_gpu.ts";

const MINUTE = 60_000;

interface Reported {
  readonly events: readonly TrainEvent[];
  /** Bits of all weights at the end. */
  readonly weights: readonly Uint32Array[];
}

/**
 * Trains, and destroys the device whenever one of these steps is told for the first time.
 * @param minutes between a loss and the next, at least.
 */
async function trainLosing(
  settings: Settings,
  losses: readonly number[],
  { load, minutes = 11, waits = [] }: { load?: LoadWeights; minutes?: number; waits?: number[] } = {},
): Promise<Reported> {
  let gpu = losses.length > 0 ? await openGpu() : await testGpu(), time = 0;
  const left = new Set(losses), events: TrainEvent[] = [], run = prepareTiny(gpu, settings);
  const recovery: RecoveryOptions = {
    now: () => time,
    wait: (seconds) => Promise.resolve(void waits.push(seconds)),
    reopen: async () => {
      time += minutes * MINUTE;
      return (gpu = await openGpu());
    },
  };
  const trainer = await train(gpu, run, NEVER, (event) => {
    events.push(event);
    if (event.type === "step" && left.delete(event.step)) gpu.device.destroy();
  }, { load, recovery });
  const weights = await Promise.all(run.model.parameters.map(({ value }) => trainer.executor.readWords(value)));
  trainer.destroy();
  if (losses.length > 0) gpu.device.destroy();
  return { events, weights };
}

/** The events of a run, but for the clock, the pipelines and the losses of its device. */
const story = (events: readonly TrainEvent[]): unknown[] =>
  events.filter(({ type }) => !["compiling", "recovered", "end", "checkpoint"].includes(type)).map((
    event,
  ) => (event.type === "step" ? { ...event, tokens_per_second: 0, eta_seconds: 0 } : event));

function assertSame(reported: Reported, expected: Reported): void {
  assertEquals(story(reported.events), story(expected.events));
  assertEquals(reported.weights, expected.weights, "weights");
  const [summary, other] = [reported, expected].map(({ events }) => ofType(events, "end")[0]!.summary) as [
    TrainSummary,
    TrainSummary,
  ];
  for (
    const key of ["steps", "train_loss", "eval_loss", "skipped_steps", "planned_bytes", "allocated_bytes"] as const
  ) assertEquals(summary[key], other[key], key);
}
type TrainSummary = Extract<TrainEvent, { type: "end" }>["summary"];

const RUN = {
  max_steps: 12,
  logging_steps: 1,
  eval_steps: 5,
  sample_steps: 7,
  optim: "frugal",
  optim_args: { update_gap: 3 },
};

const KEPT = ["with states kept every second step", { save_steps: 2 }, 3] as const;
const OTHERS = [
  ["without a state to go back to", {}, 2],
  ["told in groups", { save_steps: 3, logging_steps: 4 }, 2],
] as const;
// The loop is the same code in a page, where each new device compiles for seconds.
for (const [name, settings, count] of runtime === "deno" ? [KEPT, ...OTHERS] : [KEPT]) {
  test(
    `a run ${name} whose device is destroyed at ${count} random steps has the losses and weights of an ` +
      "undisturbed one, to the bit",
    async () => {
      const next = random(name.length),
        losses = [...new Set([...Array(count)].map(() => 1 + Math.floor(11 * next())))],
        waits: number[] = [];
      const reported = await trainLosing({ ...RUN, ...settings }, losses, { waits });
      const recovered = ofType(reported.events, "recovered").map(({ step }) => step);
      assertEquals([recovered.length, waits], [losses.length, losses.map(() => 1)], `lost after ${losses}`);
      const gap = "save_steps" in settings ? settings.save_steps : Infinity;
      assert(
        recovered.every((step) => (gap === Infinity ? step === 0 : step % gap === 0)),
        `went on after ${recovered}, lost after ${losses}`,
      );
      assertSame(reported, await trainLosing({ ...RUN, ...settings }, []));
    },
  );
}

test("a LoRA run writes its base again after each loss, and goes on with the same losses", async () => {
  let loads = 0;
  const load: LoadWeights = (executor, model) => {
    loads++;
    const base = model.parameters.filter(({ value }) => value.role === "frozen");
    for (const { value } of base) {
      const values = new Float32Array(size(value));
      fillNormal(values, 0.05, 9, value.label);
      executor.write(value, values);
    }
    return Promise.resolve(new Set(base));
  };
  const settings = {
    ...RUN,
    optim: "adamw",
    optim_args: {},
    dtype: "bfloat16",
    peft: "lora r=4 target_modules=all-linear lora_dropout=0.2",
    save_steps: 4,
  };
  const reported = await trainLosing(settings, [2, 7], { load });
  assertEquals([loads, ofType(reported.events, "recovered").map(({ step }) => step)], [3, [0, 4]]);
  assertSame(reported, await trainLosing(settings, [], { load }));
  const other = await trainLosing(settings, []);
  assert(
    other.weights.some((words, i) => words.some((word, at) => word !== reported.weights[i]![at])),
    "the base that is loaded makes no difference",
  );
});

/** Trains on a device of its own; `lose` destroys the one in use, once. */
async function trainOnOwn(
  settings: Settings,
  options: (
    lose: () => void,
  ) => {
    readonly load?: LoadWeights;
    readonly finish?: (trainer: Trainer) => Promise<void>;
    readonly control?: Control;
    readonly listen?: (event: TrainEvent) => void;
  },
): Promise<Reported> {
  let gpu = await openGpu(), left = 1;
  const lose = (): void => {
    if (left-- > 0) gpu.device.destroy();
  };
  const { load, finish, control = NEVER, listen = () => {} } = options(lose),
    events: TrainEvent[] = [],
    run = prepareTiny(gpu, settings);
  const recovery: RecoveryOptions = { wait: () => Promise.resolve(), reopen: async () => (gpu = await openGpu()) };
  const trainer = await train(gpu, run, control, (event) => {
    events.push(event);
    listen(event);
  }, { load, finish, recovery });
  const weights = await Promise.all(run.model.parameters.map(({ value }) => trainer.executor.readWords(value)));
  trainer.destroy();
  gpu.device.destroy();
  return { events, weights };
}

test(
  "a device that is lost while weights are loaded costs nothing but a second loading, and the first " +
    "is told to end",
  async () => {
    const given: (AbortSignal | undefined)[] = [];
    const reported = await trainOnOwn(RUN, (lose) => ({
      load: async (_executor, _model, signal) => {
        given.push(signal);
        if (given.length === 1) {
          lose();
          await new Promise((resolve) => setTimeout(resolve, 400));
        }
        return new Set();
      },
    }));
    assertEquals(given.map((signal) => signal?.aborted), [true, false]);
    assertSame(reported, await trainLosing(RUN, []));
  },
);

test(
  "a device that is lost while the result is read: the last state is put back, and the " +
    "result read again",
  async () => {
    const read: number[] = [];
    const reported = await trainOnOwn(RUN, (lose) => ({
      finish: async (trainer) => {
        read.push(trainer.steps);
        lose();
        await trainer.save();
      },
    }));
    assertEquals(read, [RUN.max_steps, RUN.max_steps]);
    assertEquals(
      ofType(reported.events, "recovered").map(({ step }) => step),
      [RUN.max_steps],
      "no step is made again",
    );
    assertSame(reported, await trainLosing(RUN, []));
  },
);

// These open six devices more, and the decisions they test are the same code in a page.
if (runtime === "deno") {
  test(
    "a run that is stopped and then loses its device makes its steps again instead of leaving what " +
      "it began with",
    async () => {
      let stopped = false;
      const reported = await trainOnOwn({ ...RUN, max_steps: 50 }, (lose) => ({
        control: { stopped: () => stopped, unpaused: () => Promise.resolve() },
        listen: (event) => {
          if (event.type === "step" && event.step === 8) stopped = true;
          if (event.type === "evaluation" && stopped) lose();
        },
      }));
      const { steps, eval_loss } = ofType(reported.events, "end")[0]!.summary;
      assert(steps === 8 && Number.isFinite(eval_loss), `${steps} steps, validation loss ${eval_loss}`);
    },
  );

  test(
    "losses six minutes apart never are three in ten minutes; three in a row end the run with a " +
      "DeviceLostError",
    async () => {
      const apart: number[] = [];
      await trainLosing({ ...RUN, max_steps: 4 }, [1, 2, 3], { minutes: 6, waits: apart });
      assertEquals(apart, [1, 2, 2], "the second of ten minutes waits longer");
      const waits: number[] = [];
      const error = await assertRejects(
        () => trainLosing({ ...RUN, max_steps: 4 }, [1, 2, 3], { minutes: 1, waits }),
        "third time in ten minutes",
      );
      assert(error instanceof DeviceLostError && !error.message.includes("\n"), `${error.name}: ${error.message}`);
      assertEquals(waits, [1, 2]);
    },
  );
}

/** A device that only says what it is. */
const deviceOf = (name: string, target: Gpu["target"] = "portable"): Gpu =>
  ({ adapter: { name }, target }) as unknown as Gpu;
const lost = new DeviceLostError("unknown", "the driver was reset");

test("a device of another adapter, or of other kernels, is refused: it would compute other bits", async () => {
  const after = (gpu: Gpu): Promise<Gpu> =>
    new Recovery({ reopen: () => Promise.resolve(gpu), wait: () => Promise.resolve() }).after(lost, deviceOf("one"));
  const message = "Cannot go on after the loss of one: the adapter is now ";
  await assertRejects(
    () => after(deviceOf("two")),
    `${message}two, which computes other bits. Resume from the last checkpoint`,
  );
  await assertRejects(() => after(deviceOf("one", "tiled")), message);
  const same = deviceOf("one");
  assert(await after(same) === same, "the same adapter is another device");
});

test("other errors are thrown as they are, and nothing is opened", async () => {
  const recovery = new Recovery({
    reopen: () => Promise.reject(new Error("opened")),
    wait: () => Promise.reject(new Error("waited")),
  });
  for (const error of [new Error("disk full"), new RangeError("no"), new Error("The GPU device was lost")]) {
    assert(await assertRejects(() => recovery.after(error, deviceOf("one")), error.message) === error, "another error");
  }
});

test("a device that cannot be opened again ends the run with that error", async () => {
  const error = new Error("no adapter");
  const recovery = new Recovery({ reopen: () => Promise.reject(error), wait: () => Promise.resolve() });
  assert(await assertRejects(() => recovery.after(lost, deviceOf("one")), "no adapter") === error, "another error");
});
