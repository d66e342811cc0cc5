import { purposeKey } from "../../random/philox.ts";
import { ceilDiv } from "../../gpu/kernel.ts";
import type { Recorder } from "../../plan/recorder.ts";
import { type Tensor, tensor } from "../../plan/tensor.ts";
import { gather, maskSelection, randomMask, scatter, type SelectionKind } from "./selection.ts";
import type { PreparedSubspace, Subspace, SubspaceContext } from "./subspace.ts";
import { POSITIONS_PER_WORD } from "./subset.ts";

/** Number of rows, columns or elements that a selection with density 1 takes of a matrix (m, n). */
export const selectable = (kind: SelectionKind, [m, n]: readonly [number, number]): number =>
  ({ columns: n, rows: m, randk: m * n })[kind];

export interface SelectedSubspace extends Subspace {
  /**
   * The selected rows or columns, written by the host at each switch: see packSelection(). Elements are drawn on the
   * device.
   */
  readonly selection: Tensor | undefined;
}

/**
 * Selected columns, rows or elements of a matrix (m, n), at most `count` of them: FRUGAL's coordinate splits (Zmushko
 * et al., 2025). Elements (randk) cost a bit each beside their moments; which they are is a function of (seed, purpose,
 * step_inputs.drawn).
 */
export function selectedSubspace(
  kind: SelectionKind,
  label: string,
  [m, n]: readonly [number, number],
  count: number,
  seed: number,
): SelectedSubspace {
  const access = (r: Recorder, { step_inputs, gradient }: SubspaceContext, selection: Tensor): PreparedSubspace => ({
    selection,
    down() {
      const chosen = r.tensor("chosen", shapes[kind], "scratch");
      gather(r, kind, { step_inputs, selection, gradient, chosen });
      return chosen;
    },
    up: (x, accumulate) => scatter(r, kind, { step_inputs, selection, chosen: x, out: gradient }, accumulate),
  });
  const shapes = { columns: [m, count], rows: [count, n], randk: [count] } as const;
  // A selection of everything leaves a residual of exact zeros.
  const common = { shape: shapes[kind], counted: true, complete: false };
  if (kind === "randk") {
    const mask = tensor(`${label}.mask`, [ceilDiv(m * n, 32)], "state", "u32");
    return {
      ...common,
      stride: 1,
      axis: null,
      state: [mask],
      selection: undefined,
      refreshes: true,
      prepare(r, context, refresh) {
        if (refresh !== "none") randomMask(r, mask, context.step_inputs, m * n, purposeKey(seed, `randk ${label}`));
        return access(r, context, maskSelection(r, mask));
      },
    };
  }
  const selection = tensor(
    `${label}.selection`,
    [ceilDiv(selectable(kind, [m, n]), POSITIONS_PER_WORD)],
    "input",
    "u32",
  );
  return {
    ...common,
    stride: kind === "columns" ? m : n,
    // A selection of columns keeps every row, if a shorter one.
    axis: kind === "columns" ? "rows" : "columns",
    state: [],
    selection,
    refreshes: false,
    prepare: (r, context) => access(r, context, selection),
  };
}
