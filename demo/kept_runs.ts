import { get, update } from "idb-keyval";
import type { KeptRun } from "./protocol.ts";

const KEY = "scrimp runs";

const isKept = (value: unknown): value is KeptRun =>
  typeof value === "object" && value !== null && "choices" in value && "step" in value;

/** Runs that have checkpoints, the one that was saved last first. */
export async function keptRuns(): Promise<readonly KeptRun[]> {
  const saved: unknown = await get(KEY).catch(() => undefined); // without storage there are no checkpoints either
  return Array.isArray(saved) ? saved.filter(isKept) : [];
}

/** Lists a checkpoint's run for later pages. */
export async function keepRun(run: KeptRun): Promise<void> {
  const others = (
    saved: unknown,
  ): KeptRun[] => (Array.isArray(saved) ? saved.filter(isKept).filter(({ name }) => name !== run.name) : []);
  await update(KEY, (saved) => [run, ...others(saved)]);
}
