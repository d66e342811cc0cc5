import { directoryFolder } from "../checkpoint/source/directory.deno.ts";
import type { ByteSource } from "../checkpoint/source/source.ts";
import { openDirectoryStore } from "../checkpoint/store/directory.deno.ts";
import { type CheckpointStore, StorageFullError } from "../checkpoint/store/store.ts";
import { ConfigError } from "../train/config.ts";
import type { TrainEvent } from "../train/events.ts";
import { layoutOf } from "../train/layout.ts";
import { lossCurveSvg, type Point } from "../train/loss_curve.ts";
import type { Run } from "../train/run.ts";
import { persistentTensors } from "../train/trainer.ts";
import { encodeTraining, type OpenedTraining, openTraining, type TrainingContext } from "../train/training_file.ts";

/**
 * The folder of one run: training.json, with which --config repeats it, metrics.jsonl and the last checkpoints as it
 * goes, loss.svg at the end.
 */
export interface RunFolder {
  readonly path: string;
  add(event: TrainEvent): Promise<void>;
  /** @param ended whether the run came to its end. One that failed before its first step leaves no folder. */
  close(ended: boolean): Promise<void>;
}

/** @throws ConfigError if the folder exists already or cannot be made. `note` hears of checkpoints that could not be saved. */
export async function openRunFolder({ config }: Run, context: TrainingContext, note: (message: string) => void): Promise<RunFolder> {
  const name = config.run_name || `${config.optim}-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}`;
  const path = `${config.output_dir}/${name}`;
  try {
    await Deno.mkdir(config.output_dir, { recursive: true });
  } catch (error) {
    throw new ConfigError(`Cannot start the run: the folder ${config.output_dir} cannot be made (${(error as Error).message}). Choose another output_dir`);
  }
  try {
    await Deno.mkdir(path);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) throw new ConfigError(`Cannot start the run: ${path} exists already. Choose another run_name`);
    throw new ConfigError(`Cannot start the run: ${path} cannot be made (${(error as Error).message}). Choose another run_name or output_dir`);
  }
  await Deno.writeTextFile(`${path}/training.json`, `${JSON.stringify(config, null, 2)}\n`);
  const metrics = await Deno.open(`${path}/metrics.jsonl`, { write: true, create: true, truncate: true });
  const training: Point[] = [], validation: Point[] = [];
  const encoder = new TextEncoder();
  const store = config.save_steps > 0 ? await openDirectoryStore(path, config.save_total_limit) : undefined;
  return {
    path,
    async add(event) {
      if (event.type === "compiling") return;
      if (event.type === "checkpoint") return await save(store!, event.step, encodeTraining(event.state, config, context), note);
      if (event.type === "step") training.push(event);
      if (event.type === "evaluation") validation.push({ step: event.step, loss: event.eval_loss });
      const { type: _type, ...values } = event;
      await metrics.write(encoder.encode(`${JSON.stringify(values)}\n`));
    },
    async close(ended) {
      metrics.close();
      await store?.close();
      if (!ended && training.length === 0) await Deno.remove(path, { recursive: true });
      if (training.length > 0) await Deno.writeTextFile(`${path}/loss.svg`, lossCurveSvg(`${name}: loss`, training, validation));
    },
  };
}

/** A full disk costs a checkpoint, not the run: those before it are intact, and the next may fit. */
async function save(store: CheckpointStore, step: number, bytes: AsyncIterable<Uint8Array>, note: (message: string) => void): Promise<void> {
  try {
    await store.save(step, bytes);
  } catch (error) {
    if (!(error instanceof StorageFullError)) throw error;
    note(error.message);
  }
}

/**
 * What resume_from_checkpoint names: a run's folder, of which the newest is taken, or one checkpoint. Undefined if it names none.
 * @throws ConfigError or RangeError if there is none, or it does not fit the run.
 */
export async function readCheckpoint({ config, programs }: Run, context: TrainingContext, note: (message: string) => void): Promise<OpenedTraining | undefined> {
  if (config.resume_from_checkpoint === "") return undefined;
  const opened = await openTraining(await findCheckpoint(config.resume_from_checkpoint), config, layoutOf(persistentTensors(programs)), context);
  opened.notes.forEach(note);
  return opened;
}

async function findCheckpoint(path: string): Promise<ByteSource> {
  const isFolder = await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
  const slash = path.lastIndexOf("/"), folder = isFolder ? path : slash < 0 ? "." : path.slice(0, slash) || "/";
  const name = isFolder ? await newestIn(path) : path.slice(slash + 1);
  const source = name === undefined ? null : await directoryFolder(folder).open(name);
  if (source) return source;
  throw new ConfigError(`Cannot resume from ${path}: ${isFolder ? "the folder has no checkpoint; save_steps writes some" : "there is no such file"}. Check the path, it is relative to ${Deno.cwd()}`);
}

async function newestIn(folder: string): Promise<string | undefined> {
  const steps: number[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    const [, step] = /^checkpoint-(\d+)\.safetensors$/.exec(name) ?? [];
    if (step !== undefined) steps.push(Number(step));
  }
  return steps.length === 0 ? undefined : `checkpoint-${Math.max(...steps)}.safetensors`;
}
