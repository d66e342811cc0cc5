import type { ParameterKind, TrainableVariable } from "../plan/variable.ts";
import type { OptimizerSpec } from "./optimizer_spec.ts";

/**
 * A parameter's part in the update: `target` follows the spec, `state_full` its rule with state for everything,
 * `state_free` has no state.
 */
export type UpdateKind = "target" | "state_full" | "state_free";

/** Parts of parameters' names that choose a group. */
export interface ModulePatterns {
  /** Regular expressions, searched for in the names of linear layers; null: all of them. */
  readonly optim_target_modules: readonly string[] | null;
  /** Linear layers that never keep state. */
  readonly state_free_modules: readonly string[];
}

/**
 * Sorts parameters as FRUGAL does: linear layers are split, or those that match; embeddings, norms and logits keep full
 * state unless the spec says otherwise (proj_norms, proj_embeds, proj_logits).
 * @throws RangeError for a pattern that is no regular expression or matches nothing, with what there is.
 */
export function updateKindsOf(
  parameters: readonly TrainableVariable[],
  spec: OptimizerSpec,
  { optim_target_modules, state_free_modules }: ModulePatterns,
): ReadonlyMap<TrainableVariable, UpdateKind> {
  if (spec.split === "layers") {
    return new Map(parameters.map((parameter) => [parameter, parameter.layer === undefined ? "state_full" : "target"]));
  }
  const linear = parameters.filter(({ kind }) => kind === "linear");
  const targets = optim_target_modules && matching("optim_target_modules", optim_target_modules, linear);
  const stateFree = matching("state_free_modules", state_free_modules, linear);
  const projected: Readonly<Record<ParameterKind, boolean>> = {
    linear: true,
    norm: spec.proj_norms,
    embedding: spec.proj_embeds,
    head: spec.proj_logits,
  };
  return new Map(parameters.map((parameter): [TrainableVariable, UpdateKind] => {
    if (stateFree.has(parameter)) return [parameter, "state_free"];
    if (parameter.kind === "linear" && targets) {
      return [parameter, targets.has(parameter) ? "target" : "state_full"];
    }
    return [parameter, projected[parameter.kind] ? "target" : "state_full"];
  }));
}

/** The parameters whose name one of the patterns matches. Each pattern must match something. */
export function matching<P extends TrainableVariable>(
  setting: string,
  patterns: readonly string[],
  parameters: readonly P[],
): ReadonlySet<P> {
  return new Set(patterns.flatMap((pattern) => {
    const found = parameters.filter(({ value }) => compile(setting, pattern).test(value.label));
    if (found.length > 0) return found;
    const modules = new Set(
      parameters.map(({ value }) =>
        value.label.replace(/\.weight$/, "").split(".").slice(-2).join(".").replace(/\b\d+\b/g, "N")
      ),
    );
    throw new RangeError(
      `Cannot use "${setting}": "${pattern}" matches no module. There are ${[...modules].join(", ")}`,
    );
  }));
}

function compile(setting: string, pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch (error) {
    throw new RangeError(
      `Cannot use "${setting}": "${pattern}" is no regular expression (${
        (error as Error).message.replace(/^.*: /, "")
      }). Give a part of a module's name`,
    );
  }
}

/** FRUGAL's own model declares a layer's matrices in this order, which its block orders follow. */
const BLOCK_ORDER = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "up_proj"];

/** Targets in the order in which blocks are counted. */
export function inBlockOrder(targets: readonly TrainableVariable[]): TrainableVariable[] {
  const rank = ({ layer = Infinity, value }: TrainableVariable): number =>
    layer * 100 + BLOCK_ORDER.findIndex((name) => value.label.includes(name));
  return targets
    .map((parameter, index) => ({ parameter, index, rank: rank(parameter) }))
    .sort((a, b) => (a.rank === b.rank ? a.index - b.index : a.rank - b.rank))
    .map(({ parameter }) => parameter);
}
