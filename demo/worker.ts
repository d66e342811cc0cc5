import { expose, releaseProxy, type Remote } from "comlink";
import type { KernelTarget } from "../src/index.ts";
import { blobSource } from "../src/exports/checkpoint.ts";
import { formatOf, normalizeText, readFiles } from "../src/exports/data.ts";
import { describeAdapter, requestAdapter, targetFor } from "../src/exports/plan.ts";
import { fitBudget, planRun } from "../src/exports/train.ts";
import { PretrainedModels } from "./pretrained_models.ts";
import type { DeviceReport, Listener, Preview, TrainingApi } from "./protocol.ts";
import { Reporter } from "./reporter.ts";
import { RunControl, StoppedError } from "./run_control.ts";
import type { Trained } from "./trained.ts";
import { planReportOf, trainRun } from "./training_run.ts";

const HEAD_CHARACTERS = 600, HEAD_ROWS = 3;

const models = new PretrainedModels();
/** The kernels that plans are made for: those of the adapter, once it is known. */
let target: KernelTarget = "tiled";
let control: RunControl | undefined;
let trained: Trained | undefined;

const api: TrainingApi = {
  async device(): Promise<DeviceReport> {
    try {
      const adapter = describeAdapter(await requestAdapter());
      target = targetFor(adapter);
      return { found: true, adapter, target };
    } catch (error) {
      return { found: false, reason: error instanceof Error ? error.message : String(error) };
    }
  },

  openModel: (place) => models.open(place),

  plan(config) {
    const base = models.find(config.model);
    const vocab_size = config.tokenizer === "byte" ? 256 : config.vocab_size;
    const planned = { vocab_size, target, packed: config.packing, base };
    return planReportOf(planRun(fitBudget(config, planned), planned), config.model);
  },

  async preview(file): Promise<Preview> {
    if (formatOf(file.name) !== "text") return await previewRows(file);
    const text = normalizeText(new Uint8Array(await file.arrayBuffer()));
    return { extent: `${text.length.toLocaleString("en")} characters`, head: text.slice(0, HEAD_CHARACTERS) };
  },

  async start(request, listener) {
    const reporter = new Reporter(listener);
    control = new RunControl(() => reporter.add({ type: "paused" }));
    trained?.destroy();
    trained = undefined;
    try {
      trained = await trainRun(request, models.find(request.config.model), control, (event) => reporter.add(event));
      return trained.files;
    } catch (error) {
      if (error instanceof StoppedError) return [];
      throw error;
    } finally {
      await reporter.finished();
      (listener as Remote<Listener>)[releaseProxy]();
    }
  },

  async result(kind, name) {
    if (!trained) throw new Error(`Cannot make ${name}: nothing is trained. Start a run`);
    return await trained.read(kind, name);
  },

  pause: () => control?.pause(),
  resume: () => control?.resume(),
  stop: () => control?.stop(),
};

/** The first rows. A column may hold images: values that do not read as JSON text are shown by their type. */
async function previewRows(file: File): Promise<Preview> {
  const rows: string[] = [];
  for await (const { row } of readFiles([blobSource(file.name, file)])) {
    rows.push(
      JSON.stringify(
        row,
        (_, value) => (typeof value === "bigint" ? Number(value) : ArrayBuffer.isView(value) ? "bytes" : value),
      ),
    );
    if (rows.length === HEAD_ROWS) break;
  }
  return { extent: `rows of ${formatOf(file.name)}`, head: rows.join("\n").slice(0, HEAD_CHARACTERS) };
}

expose(api);
