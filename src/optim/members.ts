import type { Variable } from "../plan/recorder.ts";
import type { Grid } from "./grid.ts";

/** The kind of module that a parameter belongs to. A matrix that is both embedding and logits counts as logits. */
export type ModuleKind = "linear" | "norms" | "embeddings" | "logits";

export interface Member {
  readonly variable: Variable;
  readonly module: ModuleKind;
}

/**
 * A parameter's part in the update: `target` follows the grid, `state_full` its rule with state for everything,
 * `state_free` has no state.
 */
export type Role = "target" | "state_full" | "state_free";

export interface MemberPatterns {
  /** Regular expressions, searched for in the names of linear layers; null: all of them. */
  readonly optim_target_modules: readonly string[] | null;
  /** Linear layers that never keep state. */
  readonly state_free_modules: readonly string[];
}

/**
 * Sorts parameters as FRUGAL does: linear layers are split, or those that match; embeddings, norms and logits keep full
 * state unless the grid says otherwise (proj_norms, proj_embeds, proj_logits).
 * @throws RangeError for a pattern that is no regular expression or matches nothing, with what there is.
 */
export function rolesOf(
  members: readonly Member[],
  grid: Grid,
  { optim_target_modules, state_free_modules }: MemberPatterns,
): ReadonlyMap<Member, Role> {
  if (grid.split === "layers") {
    return new Map(members.map((member) => [member, layerOf(member) === undefined ? "state_full" : "target"]));
  }
  const linear = members.filter(({ module }) => module === "linear");
  const targets = optim_target_modules && matching("optim_target_modules", optim_target_modules, linear);
  const stateFree = matching("state_free_modules", state_free_modules, linear);
  const projected: Readonly<Record<ModuleKind, boolean>> = {
    linear: true,
    norms: grid.proj_norms,
    embeddings: grid.proj_embeds,
    logits: grid.proj_logits,
  };
  return new Map(members.map((member): [Member, Role] => {
    if (stateFree.has(member)) return [member, "state_free"];
    if (member.module === "linear" && targets) return [member, targets.has(member) ? "target" : "state_full"];
    return [member, projected[member.module] ? "target" : "state_full"];
  }));
}

/** The parameters whose name one of the patterns matches. Each pattern must match something. */
export function matching(
  setting: string,
  patterns: readonly string[],
  members: readonly Member[],
): ReadonlySet<Member> {
  return new Set(patterns.flatMap((pattern) => {
    const found = members.filter(({ variable }) => compile(setting, pattern).test(variable.value.label));
    if (found.length > 0) return found;
    const modules = new Set(
      members.map(({ variable }) =>
        variable.value.label.replace(/\.weight$/, "").split(".").slice(-2).join(".").replace(/\b\d+\b/g, "N")
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

/** The number of the transformer layer that a parameter belongs to. */
export function layerOf({ variable }: Member): number | undefined {
  const found = /\b(?:layers|layer|h)\.(\d+)\./.exec(variable.value.label);
  return found ? Number(found[1]) : undefined;
}

/** FRUGAL's own model declares a layer's matrices in this order, which its block orders follow. */
const BLOCK_ORDER = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "up_proj"];

/** Targets in the order in which blocks are counted. */
export function inBlockOrder(targets: readonly Member[]): Member[] {
  const rank = (member: Member): number =>
    (layerOf(member) ?? Infinity) * 100 + BLOCK_ORDER.findIndex((name) => member.variable.value.label.includes(name));
  return targets.map((member, index) => ({ member, index, rank: rank(member) })).sort((
    a,
    b,
  ) => (a.rank === b.rank ? a.index - b.index : a.rank - b.rank)).map(({ member }) => member);
}
