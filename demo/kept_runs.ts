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

/** `name`, or `name 2`, `name 3`, … : the first under which no run is kept. */
export async function nextFreeName(name: string): Promise<string> {
  const taken = new Set((await keptRuns()).map((run) => run.name));
  for (let number = 2, free = name;; free = `${name} ${number++}`) if (!taken.has(free)) return free;
}

/** Lists the run of a checkpoint for later pages. */
export async function keepRun(run: KeptRun): Promise<void> {
  const others = (
    saved: unknown,
  ): KeptRun[] => (Array.isArray(saved) ? saved.filter(isKept).filter(({ name }) => name !== run.name) : []);
  await update(KEY, (saved) => [run, ...others(saved)]);
}
