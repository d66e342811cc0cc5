// Reader of fixtures/optimizers.json of the shared folder: trajectories of the authors' code, and each method as a
// point of the grid.

import { readShared, skip } from "../harness.ts";
import { createGrid, type GridCase } from "./grid.ts";
import type { Chosen, Split } from "./grid_split.ts";
import type { Reals } from "./ops.ts";

interface RawChoice {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

interface AuthorsCase {
  readonly name: string;
  readonly method: string;
  readonly shape: readonly [number, number];
  readonly config: Readonly<Record<string, number | boolean | string>>;
  readonly initial: readonly number[];
  readonly gradients: readonly (readonly number[])[];
  readonly weights: readonly (readonly number[])[];
  /** The choice of each switch: at steps 0, update_gap, 2 · update_gap, … */
  readonly chosen: readonly RawChoice[];
}

export interface AuthorsFile {
  readonly cases: readonly AuthorsCase[];
  readonly block_schedules: Readonly<Record<string, Readonly<Record<string, readonly (readonly number[])[]>>>>;
  readonly limiter: { readonly input: readonly number[]; readonly output: readonly number[] };
}

export async function readAuthors(): Promise<AuthorsFile> {
  const path = "fixtures/optimizers.json", bytes = await readShared(path);
  if (!bytes) skip(`the shared folder has no ${path}`);
  return JSON.parse(new TextDecoder().decode(bytes)) as AuthorsFile;
}

const COORDINATES: Readonly<Record<string, Split>> = {
  frugal_columns: "columns",
  frugal_rows: "rows",
  frugal_randk: "randk",
};

/** True for a left basis: (m, r) in the file is a left one, (r, n) a right one. */
const isLeft = ({ shape, chosen }: AuthorsCase): boolean => chosen[0]!.shape[0] === shape[0];

/** The point of the grid that a case is, with the defaults of its authors' code. */
export function gridCaseOf(one: AuthorsCase): Partial<GridCase> {
  const { method, config } = one, { weight_decay = 0 } = config as { weight_decay?: number };
  const projected = one.chosen.length > 0, sides = (): Split => (isLeft(one) ? "left" : "right");
  const hf = { state_full: "adam_hf", decay: "after", moments: "keep", weight_decay } as const;
  switch (method) {
    case "adamw":
      return { weight_decay };
    case "adam_hf":
      return hf;
    case "lion":
      return { state_full: "lion", weight_decay };
    case "sgd":
      return {
        state_full: "sgd",
        weight_decay,
        momentum: config["momentum"] as number,
        nesterov: config["nesterov"] === true,
      };
    case "signsgd":
      return { split: "none", state_free: "sign_sgd", weight_decay };
    case "normalized":
      return { split: "none", state_free: "row_normalized", weight_decay };
    case "galore":
      return { ...hf, split: sides(), scale: config["scale"] as number };
    case "fira":
      return { ...hf, split: sides(), state_free: "fira", scale: config["alpha"] as number };
    case "apollo":
      return {
        ...hf,
        split: sides(),
        state_free: "apollo",
        scale: config["scale"] as number,
        scale_type: config["scale_type"] as GridCase["scale_type"],
        scale_front: config["scale_front"] === true,
      };
    default:
      return {
        split: COORDINATES[method] ?? (projected ? sides() : "all"),
        weight_decay,
        state_free: config["inactive_update_rule"] as GridCase["state_free"],
        inactive_lr_scale: (config["inactive_lr_scale"] as number | undefined) ?? 1,
        moments: config["reset_statistics"] ? "reset" : "keep",
      };
  }
}

export function chosenOf(one: AuthorsCase, { shape, values }: RawChoice): Chosen {
  if (one.method in COORDINATES) return { indices: values };
  if (isLeft(one)) return { left: Float64Array.from(values) };
  return { right: transposed(values, shape[1]!) };
}

/** The transpose (n, k) of (k, n). */
export const transposed = (values: ArrayLike<number>, n: number): Reals =>
  Float64Array.from(
    { length: values.length },
    (_, i) => values[(i % (values.length / n)) * n + Math.floor(i / (values.length / n))]!,
  );

/** The largest difference from the recorded weights, after any step, as a fraction of the largest of them. */
export function replayError(one: AuthorsCase): number {
  const [m, n] = one.shape, grid = createGrid(gridCaseOf(one), m, n), weights = Float64Array.from(one.initial);
  const gap = one.config["update_gap"] as number | undefined;
  const largest = one.weights.flat().reduce((most, w) => Math.max(most, Math.abs(w)), 0);
  let worst = 0;
  one.gradients.forEach((gradient, t) => {
    const choice = gap && t % gap === 0 ? one.chosen[t / gap] : undefined;
    grid.step(weights, Float64Array.from(gradient), one.config["lr"] as number, choice && chosenOf(one, choice));
    one.weights[t]!.forEach((expected, i) => (worst = Math.max(worst, Math.abs(weights[i]! - expected) / largest)));
  });
  return worst;
}
