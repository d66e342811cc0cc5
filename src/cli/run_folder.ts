import { isFolder, openFile } from "../checkpoint/source/directory.deno.ts";
import type { ByteSource } from "../checkpoint/source/source.ts";
import { checkpointsIn, fileOf, isDiskFull, openDirectoryStore } from "../checkpoint/store/directory.deno.ts";
import { type CheckpointStore, StorageFullError } from "../checkpoint/store/store.ts";
import { ConfigError } from "../recipe/config/config.ts";
import type { TrainEvent } from "../train/events.ts";
import { lossCurveSvg, type Point } from "../report/loss_curve.ts";
import type { Run } from "../recipe/run.ts";
import { encodeTraining, type OpenedTraining, openNewest, type TrainingContext } from "../recipe/training_file.ts";

/**
 * The folder of one run: training.json, with which --config repeats it, metrics.jsonl and the last checkpoints as it
 * goes, loss.svg at the end.
 */
export interface RunFolder {
  readonly path: string;
  /** Writes an event. @returns false for a checkpoint that did not fit on the disk. */
  add(event: TrainEvent): Promise<boolean>;
  /** Closes the folder. `ended`: the run came to its end. One that failed before its first step leaves no folder. */
  close(ended: boolean): Promise<void>;
}

/**
 * Makes the folder of a run. `note` gets a message for each checkpoint that could not be saved.
 * @throws ConfigError if the folder exists already or cannot be made.
 */
export async function openRunFolder(
  { config }: Run,
  context: TrainingContext,
  note: (message: string) => void,
): Promise<RunFolder> {
  const name = config.run_name || `${config.optim}-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}`;
  const path = `${config.output_dir}/${name}`;
  const isNew = await Deno.stat(config.output_dir).then(() => false, () => true);
  try {
    await Deno.mkdir(config.output_dir, { recursive: true });
  } catch (error) {
    throw new ConfigError(
      `Cannot start the run: the folder ${config.output_dir} cannot be made (${
        (error as Error).message
      }). Choose another output_dir`,
    );
  }
  try {
    await Deno.mkdir(path);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new ConfigError(`Cannot start the run: ${path} exists already. Choose another run_name`);
    }
    throw new ConfigError(
      `Cannot start the run: ${path} cannot be made (${
        (error as Error).message
      }). Choose another run_name or output_dir`,
    );
  }
  await Deno.writeTextFile(`${path}/training.json`, `${JSON.stringify(config, null, 2)}\n`);
  const metrics = await Deno.open(`${path}/metrics.jsonl`, { write: true, create: true, truncate: true });
  const training: Point[] = [], validation: Point[] = [];
  const encoder = new TextEncoder();
  let isFull = false;
  // A full disk is reported once; a run is worth more than its log.
  const line = async (values: object): Promise<void> => {
    try {
      for (let bytes = encoder.encode(`${JSON.stringify(values)}\n`); bytes.length > 0;) {
        bytes = bytes.subarray(await metrics.write(bytes));
      }
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      if (!isFull) note(`${path}/metrics.jsonl lacks what comes now: the disk is full. Free some space`);
      isFull = true;
    }
  };
  const store = config.save_steps > 0 ? await openDirectoryStore(path, config.save_total_limit) : undefined;
  return {
    path,
    async add(event) {
      if (event.type === "compiling") return true;
      if (event.type === "checkpoint") {
        return await save(store!, event.step, encodeTraining(event.state, config, context), note);
      }
      if (event.type === "step") training.push(event);
      if (event.type === "evaluation") validation.push({ step: event.step, loss: event.eval_loss });
      const { type: _type, ...values } = event;
      await line(values);
      return true;
    },
    async close(ended) {
      metrics.close();
      await store?.close();
      if (!ended && training.length === 0) {
        await Deno.remove(path, { recursive: true });
        // This fails if another run has begun in it meanwhile.
        if (isNew) await Deno.remove(config.output_dir).catch(() => {});
      }
      if (training.length > 0) {
        await Deno.writeTextFile(`${path}/loss.svg`, lossCurveSvg(`${name}: loss`, training, validation));
      }
    },
  };
}

/** Saves a checkpoint. A full disk costs it, not the run: those before it are intact, and the next may fit. */
async function save(
  store: CheckpointStore,
  step: number,
  bytes: AsyncIterable<Uint8Array>,
  note: (message: string) => void,
): Promise<boolean> {
  try {
    await store.save(step, bytes);
    return true;
  } catch (error) {
    if (!(error instanceof StorageFullError)) throw error;
    note(error.message);
    return false;
  }
}

/**
 * The checkpoint that resume_from_checkpoint names, by itself or by a run's folder, whose newest whole one is taken.
 * Undefined if it names none.
 * @throws ConfigError or RangeError if there is none, or it does not fit the run.
 */
export async function readCheckpoint(
  run: Run,
  context: TrainingContext,
  note: (message: string) => void,
): Promise<OpenedTraining | undefined> {
  const path = run.config.resume_from_checkpoint;
  if (path === "") return undefined;
  const opened = await openNewest(await findCheckpoints(path), run, context);
  opened.notes.forEach(note);
  return opened;
}

/** The checkpoints of a path, the newest first. */
async function findCheckpoints(path: string): Promise<ByteSource[]> {
  const isRun = await isFolder(path);
  const paths = isRun ? (await checkpointsIn(path)).reverse().map((step) => `${path}/${fileOf(step)}`) : [path];
  const sources = (await Promise.all(paths.map(openFile))).filter((source) => source !== null);
  if (sources.length > 0) return sources;
  throw new ConfigError(
    `Cannot resume from ${path}: ${
      isRun ? "the folder has no checkpoint; save_steps writes some" : "there is no such file"
    }. Check the path, it is relative to ${Deno.cwd()}`,
  );
}
