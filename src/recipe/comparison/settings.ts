import * as v from "valibot";
import { OPTIMIZERS } from "../../optim/presets.ts";
import {
  ALIASES,
  CONFIG_KEYS,
  ConfigError,
  nameSettings,
  nearestName,
  parseConfig,
  type TrainingConfig,
} from "../config/config.ts";

/** Settings by name, not checked yet. */
export type Settings = Readonly<Record<string, unknown>>;

/** The subject of a comparison: each entry of a method's sweep is a run, or several that differ in their seed. */
export interface Comparison {
  /** The heading of the report. */
  readonly title: string;
  /** The settings under all methods. Its seed is that of the embedded stories. */
  readonly base: TrainingConfig;
  /** Every method runs once for each. */
  readonly seeds: readonly number[];
  /** Which entries are run with the seeds after the first: all, or the best of each method. */
  readonly replicates: "all" | "best";
  /** The methods that are compared. */
  readonly methods: readonly Method[];
  /** All of it as settings: the same comparison again. */
  readonly settings: Settings;
}

/** One method: its name and settings. */
export interface Method {
  /** Its name. */
  readonly name: string;
  /** One at least. */
  readonly sweep: readonly Entry[];
}

/** One run of a method. */
export interface Entry {
  /** "" where the method has no sweep. */
  readonly label: string;
  /** The checked settings of the run. */
  readonly config: TrainingConfig;
}

const text = v.string("must be text");
const layer = v.custom<Settings>(isObject, "must be an object of settings");
const sweep = v.array(layer, "must be a list of objects of settings");
const seed = v.pipe(
  v.number("must be whole numbers, 0 or more"),
  v.check((x) => Number.isSafeInteger(x) && x >= 0, "must be whole numbers, 0 or more"),
);
const differ = <T>(values: readonly T[]): boolean => new Set(values).size === values.length;

/** The keys that a comparison has beside the settings of its runs. */
const entries = {
  title: v.optional(text, "Optimizers compared"),
  optims: v.optional(v.pipe(v.array(text, "must be a list of optimizers"), v.nonEmpty("must name an optimizer"))),
  methods: v.optional(
    v.pipe(
      v.array(
        v.intersect([layer, v.looseObject({ name: v.optional(text), sweep: v.optional(sweep) })]),
        "must be a list of objects",
      ),
      v.nonEmpty("must have a method"),
    ),
  ),
  seeds: v.optional(
    v.pipe(
      v.array(seed, "must be a list of whole numbers"),
      v.nonEmpty("must have a seed"),
      v.check(differ, "must differ from each other"),
    ),
  ),
  sweep: v.optional(sweep, []),
  replicates: v.optional(v.picklist(["all", "best"], 'must be "all" or "best"'), "best"),
};
const schema = v.object(entries);
const KEYS: readonly string[] = Object.keys(entries);

/** Settings that methods may not differ in. */
const SHARED = ["dataset", "model", "seed", "output_dir", "run_name"];

/** Samples cost time and are not compared. The one that each run ends with is made as short as can be. */
const NO_SAMPLES = { sample_steps: Number.MAX_SAFE_INTEGER, sample_tokens: 1, prompt: "" };

/**
 * Names the settings of a comparison, as nameSettings does those of a run. Lists may be given as text: "adamw,sgd".
 * @throws ConfigError for an unknown key, or one that is given twice.
 */
export function nameComparison(given: Settings, note: (message: string) => void): Record<string, unknown> {
  const own: Record<string, unknown> = {}, base: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    if (KEYS.includes(key)) own[key] = key === "optims" || key === "seeds" ? listOf(value, key) : value;
    else base[suggestOwn(key)] = value;
  }
  return { ...nameSettings(base, note), ...own };
}

function listOf(value: unknown, key: "optims" | "seeds"): unknown {
  if (typeof value === "number") return [value];
  if (typeof value !== "string") return value;
  const items = value.split(",").map((item) => item.trim());
  return key === "optims" ? items : items.map((item) => (/^\d+$/.test(item) ? Number(item) : item));
}

/** nameSettings suggests the settings of runs only. */
function suggestOwn(key: string): string {
  const known = [...CONFIG_KEYS, ...Object.keys(ALIASES)];
  const nearest = known.includes(key) ? undefined : nearestName(key, [...known, ...KEYS]);
  if (nearest !== undefined && KEYS.includes(nearest)) {
    throw new ConfigError(`Cannot use unknown setting "${key}": did you mean "${nearest}"?`);
  }
  return key;
}

/**
 * Checks the settings of a comparison, named by nameComparison: those of every run before there is one.
 * @throws ConfigError naming the method and the entry of its sweep that it is about.
 */
export function parseComparison(given: Settings, note: (message: string) => void = () => {}): Comparison {
  const result = v.safeParse(schema, given);
  if (!result.success) throw new ConfigError(describe(result.issues[0]));
  const { title, optims, methods: ownMethods, replicates, sweep: commonSweep, seeds: ownSeeds } = result.output;
  if (optims && ownMethods) {
    throw new ConfigError(
      'Cannot use "optims" beside "methods": each method has an optim of its own. Remove one of them',
    );
  }

  const shared = Object.fromEntries(Object.entries(given).filter(([key]) => !KEYS.includes(key)));
  // Settings that an optimizer reads are checked with the optimizer that they are for.
  const { optim: _ownOptim, optim_args: _ownArgs, ...rest } = shared;
  const base = parseConfig(rest);
  const seeds = ownSeeds ?? [base.seed];
  const layers = (ownMethods ?? (optims ?? OPTIMIZERS).map((name) => ({ name, optim: name }) as Settings))
    .map((method) => parseMethod(method, { shared, commonSweep, seed: seeds[0]!, note }));
  checkNames(layers.map(({ name }) => name), "methods", 'Give each a "name"');

  const { optim: _optim, optim_args: _optim_args, ...filled } = base;
  const settings = { ...filled, ...shared, title, replicates, seeds, methods: layers.map(({ given }) => given) };
  return { title, base, seeds, replicates, methods: layers.map(({ name, sweep }) => ({ name, sweep })), settings };
}

interface Surroundings {
  readonly shared: Settings;
  readonly commonSweep: readonly Settings[];
  readonly seed: number;
  readonly note: (message: string) => void;
}

function parseMethod(
  given: Settings,
  { shared, commonSweep, seed, note }: Surroundings,
): Method & { readonly given: Settings } {
  const { name: ownName, sweep: ownSweep, ...own } = given;
  const name = String(ownName ?? own["optim"] ?? shared["optim"] ?? OPTIMIZERS[0]);
  const settings = naming(`Method "${name}"`, () => nameLayer(own, note));
  const given_sweep = (ownSweep ?? commonSweep) as readonly Settings[];
  const sweep = (given_sweep.length > 0 ? given_sweep : [{ name: "" }]).map(({ name: ownLabel, ...entry }, i) =>
    naming(`Method "${name}"${given_sweep.length > 0 ? `, entry ${i + 1} of its sweep` : ""}`, () => {
      const layer = nameLayer(entry, note);
      const config = parseConfig({ ...[shared, settings, layer].reduce(lay), ...NO_SAMPLES, seed });
      return { label: ownLabel === undefined ? labelOf(layer) : String(ownLabel), layer, config };
    })
  );
  naming(
    `Method "${name}"`,
    () => checkNames(sweep.map(({ label }) => label), "entries of a sweep", "Remove one of them"),
  );
  const written = given_sweep.length > 0 ? sweep.map(({ label, layer }) => ({ name: label, ...layer })) : [];
  return {
    name,
    sweep: sweep.map(({ label, config }) => ({ label, config })),
    given: { name, ...settings, sweep: written },
  };
}

function nameLayer(given: Settings, note: (message: string) => void): Record<string, unknown> {
  const settings = nameSettings(given, note);
  const fixed = SHARED.find((key) => key in settings);
  if (fixed !== undefined) {
    throw new ConfigError(
      `Cannot use "${fixed}" here: it is the same for all methods${
        fixed === "seed" ? '. "seeds" lists the seeds' : ""
      }`,
    );
  }
  return settings;
}

/** One layer of settings over another. Objects of settings, as optim_args, are laid over each other key by key. */
function lay(below: Settings, above: Settings): Settings {
  const merged = Object.entries(above).map((
    [key, value],
  ) => [key, isObject(value) && isObject(below[key]) ? { ...below[key], ...value } : value]);
  return { ...below, ...Object.fromEntries(merged) };
}

/** "lr 0.003, rank 4" */
function labelOf(settings: Settings): string {
  const flat = Object.entries(settings).flatMap((
    [key, value],
  ) => (isObject(value) ? Object.entries(value) : [[key, value] as const]));
  return flat.map(([key, value]) => `${key === "learning_rate" ? "lr" : key} ${String(value)}`).join(", ");
}

function checkNames(names: readonly string[], what: string, advice: string): void {
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw new ConfigError(`Cannot compare two ${what} that are both "${twice}". ${advice}`);
}

/** Puts `subject` before the message of an error. */
export function naming<T>(subject: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new ConfigError(`${subject}: ${(error as Error).message}`);
  }
}

function describe(issue: v.BaseIssue<unknown>): string {
  const path = (issue.path ?? []).map((
    { key },
    i,
  ) => (typeof key === "number" ? `[${key}]` : `${i ? "." : ""}${String(key)}`)).join("");
  return `Cannot use "${path}": ${issue.message}, got ${JSON.stringify(issue.input).slice(0, 100)}`;
}

function isObject(value: unknown): value is Settings {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
