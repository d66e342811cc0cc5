import { expose, type Remote, releaseProxy } from "comlink";
import {
  bytesByRole,
  checkRunFits,
  countParameters,
  describeAdapter,
  fitBudget,
  type Gpu,
  ledger,
  normalizeText,
  openGpu,
  planRun,
  prepareRun,
  requestAdapter,
  type Run,
  train,
  type TrainingConfig,
  type Variant,
} from "../src/index.ts";
import type { DeviceReport, Listener, PlanReport, Preview, RunEvent, TrainingApi } from "./protocol.ts";
import { Reporter } from "./reporter.ts";
import { RunControl } from "./run_control.ts";

const HEAD_CHARACTERS = 600;

/** Plans are made for these kernels: those of the adapter, once it is known. */
let variant: Variant = "tiled";
let control: RunControl | undefined;

const api: TrainingApi = {
  async device(): Promise<DeviceReport> {
    try {
      const adapter = describeAdapter(await requestAdapter());
      variant = adapter.software ? "portable" : "tiled";
      return { found: true, adapter, variant };
    } catch (error) {
      return { found: false, reason: error instanceof Error ? error.message : String(error) };
    }
  },

  plan(config) {
    const vocab_size = config.tokenizer === "byte" ? 256 : config.vocab_size;
    const planned = { vocab_size, variant };
    return reportOf(planRun(fitBudget(config, planned), planned));
  },

  async preview(file): Promise<Preview> {
    const text = await readText(file);
    return { characters: text.length, head: text.slice(0, HEAD_CHARACTERS) };
  },

  async start(config, file, listener) {
    const reporter = new Reporter(listener);
    control = new RunControl(() => reporter.add({ type: "paused" }));
    let gpu: Gpu | undefined;
    try {
      const text = file === null ? undefined : await readText(file);
      // A device of its own for each run: whatever befell the last one, this one starts clean.
      gpu = await openGpu();
      await runOn(gpu, config, text, control, (event) => reporter.add(event));
    } catch (error) {
      throw await lossOf(gpu) ?? error;
    } finally {
      gpu?.device.destroy();
      await reporter.finished();
      (listener as Remote<Listener>)[releaseProxy]();
    }
  },

  pause: () => control?.pause(),
  resume: () => control?.resume(),
  stop: () => control?.stop(),
};

async function runOn(gpu: Gpu, config: TrainingConfig, text: string | undefined, control: RunControl, emit: (event: RunEvent) => void): Promise<void> {
  const run = prepareRun(config, text, gpu.variant);
  checkRunFits(run, gpu, availableBytes(gpu));
  emit({ type: "prepared", plan: reportOf(run), summary: run.data.summary, vocab_size: run.tokenizer.vocab_size });
  const trainer = await train(gpu, run, control, emit);
  trainer.destroy();
}

function reportOf({ model, plan }: Pick<Run, "model" | "plan">): PlanReport {
  const parameters = countParameters(model.parameters);
  return { parameters, rows: ledger(plan), bytes: bytesByRole(plan.buffers) };
}

/** A lost device also breaks whatever was under way, with an obscure message and a moment before the loss is known. */
async function lossOf(gpu: Gpu | undefined): Promise<Error | undefined> {
  return await Promise.race([gpu?.lost, new Promise<undefined>((resolve) => setTimeout(resolve, 100))]);
}

async function readText(file: Blob): Promise<string> {
  return normalizeText(new Uint8Array(await file.arrayBuffer()));
}

/** A software adapter takes the computer's own memory, which some browsers tell, rounded. No browser tells that of a real GPU. */
function availableBytes({ adapter }: Gpu): number {
  const { deviceMemory } = navigator as WorkerNavigator & { readonly deviceMemory?: number };
  return adapter.software && deviceMemory !== undefined ? deviceMemory * 2 ** 30 : Infinity;
}

expose(api);
