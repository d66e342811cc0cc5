import type { Gpu } from "../../src/gpu/device.ts";
import { type OracleCase, type ReadFile, readJson } from "./files.ts";
import { replayModel } from "./model.ts";
import { replayOptimizers } from "./optimizer.ts";
import { replayShakespeare } from "./shakespeare.ts";
import { replayStories } from "./stories.ts";

export interface Replay {
  readonly cases: readonly OracleCase[];
  /** Methods of the fixture that the project does not have. */
  readonly unsupported: readonly string[];
}

/**
 * Replays one fixture: a file of optimizer trajectories, a folder with a model and a batch, or one with a training run
 * on text.
 */
export async function replayPath(gpu: Gpu, read: ReadFile, path: string): Promise<Replay> {
  if (path.endsWith(".json")) return await replayOptimizers(gpu, read, path);
  if (!await read(`${path}/expected.json`)) {
    throw new Error("Cannot replay: expected an optimizer file (.json) or a folder with expected.json");
  }
  const { offsets, greedy } = await readJson(read, `${path}/expected.json`) as { offsets?: unknown; greedy?: unknown };
  const cases = offsets === undefined ? await replayModel(gpu, read, path) : await replayShakespeare(gpu, read, path);
  return { cases: greedy === undefined ? cases : [...cases, ...await replayStories(gpu, read, path)], unsupported: [] };
}
