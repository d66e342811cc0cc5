import type { Model } from "./architecture.ts";
import { product } from "./low_rank_linear.ts";
import { type Linear, widthsOf } from "./linear_layer.ts";
import { type Parameter, parameter } from "./parameter.ts";
import { headLayers, inLayer, linearLayers, mapModel } from "./parts.ts";

/** The keys of PEFT's LoraConfig that are read here. */
export interface LoraConfig {
  /** The rank of the factors. */
  readonly r: number;
  /** The factors' product is scaled by lora_alpha / r. */
  readonly lora_alpha: number;
  /** Dropout of what goes into the factors. */
  readonly lora_dropout: number;
  /**
   * Names or ends of names of modules; one text is a regular expression over whole names, or "all-linear"; null: the
   * model's usual ones.
   */
  readonly target_modules: readonly string[] | string | null;
  /** Modules that are trained whole and saved with the adapter. */
  readonly modules_to_save: readonly string[];
  /** Scale by lora_alpha / sqrt(r) (rsLoRA, Kalajdzievski, 2023) instead of lora_alpha / r. */
  readonly use_rslora: boolean;
}

/** The factor of B A x. */
export const loraScale = ({ r, lora_alpha, use_rslora }: LoraConfig): number =>
  lora_alpha / (use_rslora ? Math.sqrt(r) : r);

/**
 * The model with factors beside each linear layer that `target_modules` names (LoRA, Hu et al., 2021). A is uniform
 * within 1 / sqrt(in), which is PEFT's kaiming_uniform(a = sqrt 5), and B zeros, so the model computes the same numbers
 * as before.
 * @throws RangeError if the pattern matches no linear layer, or a rank exceeds a side of one.
 */
export function withLora<M extends Model>(model: M, config: LoraConfig): M {
  const targets = new Set(targetsOf(model, config).map(({ name }) => name));
  return mapModel(model, {
    linear: (layer) => (targets.has(layer.name) ? { ...layer, lora: factorsOf(layer, config) } : layer),
  });
}

/**
 * The target_modules that give PEFT the same layers: ends of their names, or whole names where an end matches others.
 */
export function targetNames(model: Model): string[] {
  const layers = linearLayers(model), adapted = layers.filter(({ lora }) => lora).map(({ name }) => name);
  const ends = [...new Set(adapted.map((name) => name.split(".").at(-1)!))], matches = matcherOf(ends);
  return layers.filter(({ name }) => matches(name)).length === adapted.length ? ends : adapted;
}

/** The weight of an adapted layer, W + scale B A, in the weight's own layout. `a` is (rank, in), `b` (out, rank). */
export function mergedWeight(
  { transposed = false, lora }: Linear,
  weight: Float32Array,
  a: Float32Array,
  b: Float32Array,
): Float32Array<ArrayBuffer> {
  const { a: { value: { shape: [rank, width] } }, scale } = lora!;
  const added = product(a, b, rank!, scale), out = added.length / width!;
  return Float32Array.from(weight, (w, i) => w + added[transposed ? (i % out) * width! + Math.floor(i / out) : i]!);
}

function factorsOf(layer: Linear, config: LoraConfig): NonNullable<Linear["lora"]> {
  const { out, width } = widthsOf(layer), { r } = config;
  if (r > Math.min(out, width)) {
    throw new RangeError(
      `Cannot adapt ${layer.name} (${out},${width}) with r ${r}: expected a whole number from 1 to ${
        Math.min(out, width)
      }`,
    );
  }
  const { layer: index } = layer.weight;
  const placed = (factor: Parameter): Parameter => (index === undefined ? factor : inLayer(index, factor));
  return {
    a: placed(parameter(`${layer.name}.lora_A.weight`, [r, width], { uniform: 1 / Math.sqrt(width) })),
    b: placed(parameter(`${layer.name}.lora_B.weight`, [out, r], "zeros")),
    scale: loraScale(config),
    dropout: config.lora_dropout,
  };
}

function targetsOf(model: Model, { target_modules }: LoraConfig): Linear[] {
  // Heads are left out of "all-linear", as PEFT does: of causal models the logits are no linear layer here at all.
  const layers = linearLayers(model), heads = headLayers(model);
  const wanted = target_modules ?? model.architecture.lora_targets;
  if (wanted === "all-linear") return layers.filter(({ name }) => !heads.includes(name));
  const matches = matcherOf(wanted);
  const found = layers.filter(({ name }) => matches(name));
  if (found.length > 0) return found;
  const names = new Set(layers.map(({ name }) => name.split(".").slice(-1)[0]!));
  const head = model.head.task === "CAUSAL_LM" ? ". The head can be trained whole by modules_to_save" : "";
  throw new RangeError(
    `Cannot use "target_modules" ${JSON.stringify(wanted)}: no linear layer has such a name. There are ${
      [...names].join(", ")
    }${head}`,
  );
}

function matcherOf(wanted: readonly string[] | string): (name: string) => boolean {
  if (typeof wanted !== "string") return (name) => wanted.some((end) => name === end || name.endsWith(`.${end}`));
  try {
    const pattern = new RegExp(`^(?:${wanted})$`);
    return (name) => pattern.test(name);
  } catch (error) {
    throw new RangeError(
      `Cannot use "target_modules" ${JSON.stringify(wanted)}: it is no regular expression (${
        (error as Error).message.replace(/^.*: /, "")
      }). Give a list of names`,
    );
  }
}
