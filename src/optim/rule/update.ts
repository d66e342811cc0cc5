import { ceilDiv, defineKernel } from "../../gpu/kernel.ts";
import type { KernelTarget } from "../../gpu/device.ts";
import { memoize } from "../../gpu/memoize.ts";
import type { Recorder } from "../../plan/recorder.ts";
import { size, type Tensor } from "../../plan/tensor.ts";
import type { StateFreeRule } from "../optimizer_spec.ts";
import { type RuleName, type RuleNumbers, RULES } from "./rules.ts";
import { type SelectionKind, selectionText } from "../split/selection.ts";
import { type WeightForm, weightText } from "./weight.ts";
import clipCode from "../../../shaders/lib/clip.wgsl" with { type: "text" };
import stepInputsCode from "../../../shaders/lib/step_inputs.wgsl" with { type: "text" };
import finiteCode from "../../../shaders/lib/finite.wgsl" with { type: "text" };
import momentsCode from "../../../shaders/lib/moments.wgsl" with { type: "text" };
import scheduleCode from "../../../shaders/lib/schedule.wgsl" with { type: "text" };
import threadCode from "../../../shaders/lib/thread.wgsl" with { type: "text" };
import updateCode from "../../../shaders/update.wgsl" with { type: "text" };

/** Tensors that every kernel of an update may read. */
export interface UpdateInputs {
  /** (3) The step's numbers: see schedule.ts. */
  readonly schedule: Tensor;
  /** (3) The result of clipping: see clip.ts. */
  readonly clip: Tensor;
}

/** Specialisation of an update in one pass. */
interface UpdateForm {
  readonly rule: RuleName | "none";
  readonly nesterov: boolean;
  readonly selection: SelectionKind | null;
  /** True if, without a selection, step_inputs.count decides between all elements and none. */
  readonly activeSubsetOnly: boolean;
  readonly free: StateFreeRule;
  readonly weight: WeightForm;
  /**
   * Shares of threads in a matrix with selected columns: rows of each, and threads in succession that have the same
   * columns.
   */
  readonly rows: number;
  readonly lanes: number;
}

/** True if a thread's neighbours are state-full together, so that their state is read as a vector. */
const isWhole = ({ selection }: UpdateForm): boolean => selection === null || selection === "rows";

const updateKernel = memoize((form: UpdateForm) => {
  const { rule, selection, free, weight } = form;
  const { constants, libraries } = weightText(weight);
  return defineKernel({
    name: "update",
    code: updateCode,
    libraries: [
      ...[threadCode, scheduleCode, stepInputsCode, clipCode, finiteCode],
      ...libraries,
      momentsCode,
      ...(rule === "none" ? [] : [RULES[rule].code]),
      ...(selection ? [selectionText(selection, weight.width).code] : []),
    ],
    reads: {
      this_schedule: "Schedule",
      this_step_inputs: "StepInputs",
      this_clip: "Clip",
      gradient: "numbers",
      selection: "array<u32>?",
    },
    writes: { parameter: "numbers", a: "array<Number>?", b: "array<Number>?" },
    params: {
      n: "u32",
      columns: "u32",
      beta1: "f32",
      beta2: "f32",
      eps: "f32",
      weight_decay: "f32",
      lr_scale: "f32",
      inactive_lr_scale: "f32",
      scale: "f32",
      seed: "u32",
      purpose: "u32",
    },
    constants: {
      ...constants,
      ...(selection ? selectionText(selection, weight.width).constants : { PER_ROW: false, PER_COLUMN: false }),
      WORKGROUP: 64,
      STATE_BY_NUMBER: !isWhole(form),
      WHOLE: selection === null,
      ACTIVE_SUBSET_ONLY: selection !== null || form.activeSubsetOnly || rule === "none",
      NESTEROV: form.nesterov,
      FREE_SIGN: free === "sign_sgd",
      FREE_SGD: free === "sgd",
      ROWS: form.rows,
      LANES: form.lanes,
    },
    groups: ({ n }, { ROWS, WORKGROUP }) => ceilDiv(n / Number(ROWS), Number(WORKGROUP)),
  });
});

/**
 * Rows that the threads of a software adapter's vector share, if they divide a matrix; and the lanes of its vectors.
 */
const BANDS = [64, 32, 16, 8], LANES = { portable: 8, portable_small: 4 };

/** A thread's share is one row on GPUs, which want neighbours at neighbouring addresses, and if no band divides. */
function shareOf(
  target: KernelTarget,
  selection: SelectionKind | null,
  height: number,
): Pick<UpdateForm, "rows" | "lanes"> {
  const band = BANDS.find((rows) => height % rows === 0);
  if (selection !== "columns" || target === "tiled" || band === undefined) return { rows: 1, lanes: 1 };
  return { rows: band / LANES[target], lanes: LANES[target] };
}

export interface FusedUpdateOptions {
  readonly form: Omit<UpdateForm, "weight" | "rows" | "lanes">;
  readonly weight: WeightForm;
  readonly numbers: RuleNumbers;
  readonly weight_decay: number;
  readonly lr_scale: number;
  readonly inactive_lr_scale: number;
  /** Factor of the rule's direction. */
  readonly scale: number;
  /** Random stream of stochastic rounding. */
  readonly key: readonly [seed: number, purpose: number];
}

/**
 * Records a whole update in one pass: for every split into elements (all, none, columns, rows, randk, blocks), every
 * 32-bit rule, and a state-free part that needs no more than its own element.
 * @param tensors gradient and parameter of one shape; `selection` for splits within the matrix; `state` of the rule.
 */
export function recordFusedUpdate(
  r: Recorder,
  tensors: UpdateInputs & {
    readonly step_inputs: Tensor;
    readonly gradient: Tensor;
    readonly parameter: Tensor;
    readonly selection?: Tensor;
    readonly state: readonly Tensor[];
  },
  { form, weight, numbers, weight_decay, lr_scale, inactive_lr_scale, scale, key: [seed, purpose] }: FusedUpdateOptions,
): void {
  const { state: [a, b], schedule, step_inputs, clip, ...rest } = tensors, { width } = weight;
  const named = { this_schedule: schedule, this_step_inputs: step_inputs, this_clip: clip, ...rest, a, b };
  const columns = form.selection === "rows" || form.selection === "columns" ? tensors.parameter.shape.at(-1)! : 0;
  const share = shareOf(r.target, form.selection, tensors.parameter.shape[0]!);
  r.run(updateKernel({ ...form, ...share, weight }), named, {
    n: size(tensors.parameter) / width,
    columns,
    ...numbers,
    weight_decay,
    lr_scale,
    inactive_lr_scale,
    scale,
    seed,
    purpose,
  });
}
