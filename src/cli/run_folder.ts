import { ConfigError } from "../train/config.ts";
import type { TrainEvent } from "../train/loop.ts";
import { lossCurveSvg, type Point } from "../train/loss_curve.ts";
import type { Run } from "../train/run.ts";
import { encodeTraining } from "../train/training_file.ts";
import { replaceFile } from "./files.ts";

/**
 * The folder of one run: training.json, with which --config repeats it, metrics.jsonl and checkpoint.safetensors as it
 * goes, loss.svg at the end.
 */
export interface RunFolder {
  readonly path: string;
  add(event: TrainEvent): Promise<void>;
  /** @param ended whether the run came to its end. One that failed before its first step leaves no folder. */
  close(ended: boolean): Promise<void>;
}

/** @throws ConfigError if the folder exists already or cannot be made. */
export async function openRunFolder({ config }: Run): Promise<RunFolder> {
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
  return {
    path,
    async add(event) {
      if (event.type === "compiling") return;
      if (event.type === "checkpoint") return await replaceFile(`${path}/checkpoint.safetensors`, encodeTraining(event.state, config));
      if (event.type === "step") training.push(event);
      if (event.type === "evaluation") validation.push({ step: event.step, loss: event.eval_loss });
      const { type: _type, ...values } = event;
      await metrics.write(encoder.encode(`${JSON.stringify(values)}\n`));
    },
    async close(ended) {
      metrics.close();
      if (!ended && training.length === 0) await Deno.remove(path, { recursive: true });
      if (training.length > 0) await Deno.writeTextFile(`${path}/loss.svg`, lossCurveSvg(`${name}: loss`, training, validation));
    },
  };
}
