import { type Tensor, tensor } from "../plan/tensor.ts";

/** RoPE frequencies as Hugging Face's configuration names them. */
export interface RopeParameters {
  /** Base of the frequencies. */
  readonly rope_theta: number;
  /** The way frequencies are stretched for longer texts; by default they are not. */
  readonly rope_type?: "default" | "linear" | "llama3";
  /** The factor by which texts are stretched. */
  readonly factor?: number;
  /** Waves longer than the original length over this are stretched in full, in `llama3`. */
  readonly low_freq_factor?: number;
  /** Waves shorter than the original length over this are not stretched, in `llama3`. */
  readonly high_freq_factor?: number;
  /** The length in tokens before it was stretched. */
  readonly original_max_position_embeddings?: number;
}

/** The tensor that `ropeTable` fills: (T, 2, D/2). */
export const ropeTableTensor = (T: number, D: number): Tensor => tensor("rope table", [T, 2, D / 2], "frozen");

/**
 * Cosines and sines of T positions for heads of D: (T, 2, D/2), in f64 rounded once. WGSL's sin and cos are accurate to
 * 2⁻¹¹ only.
 * @throws RangeError if the scaling is not one of default, linear, llama3, or lacks its numbers.
 */
export function ropeTable(T: number, D: number, rope: RopeParameters): Float32Array<ArrayBuffer> {
  const half = D / 2;
  const table = new Float32Array(T * half * 2);
  for (let i = 0; i < half; i++) {
    const frequency = scaled(rope.rope_theta ** (-i / half), rope);
    for (let t = 0; t < T; t++) {
      table[2 * t * half + i] = Math.cos(t * frequency);
      table[(2 * t + 1) * half + i] = Math.sin(t * frequency);
    }
  }
  return table;
}

/** @throws RangeError if the scaling is not one of default, linear, llama3, or lacks its numbers. */
export const checkRope = (rope: RopeParameters): void => void scaled(1, rope);

function scaled(frequency: number, rope: RopeParameters): number {
  const { rope_type = "default" } = rope;
  if (rope_type === "default") return frequency;
  const factor = need(rope, "factor");
  if (rope_type === "linear") return frequency / factor;
  if (rope_type !== "llama3") {
    throw new RangeError(`Cannot scale RoPE by "${rope_type}": expected default, linear or llama3`);
  }
  // Llama 3.1: low frequencies are stretched, high ones kept, those between are blended.
  const low = need(rope, "low_freq_factor"), high = need(rope, "high_freq_factor");
  const wavelengths = (need(rope, "original_max_position_embeddings") * frequency) / (2 * Math.PI);
  const keep = Math.min(1, Math.max(0, (wavelengths - low) / (high - low)));
  return keep * frequency + ((1 - keep) * frequency) / factor;
}

function need(rope: RopeParameters, key: keyof RopeParameters): number {
  const value = rope[key];
  if (typeof value !== "number" || !(value > 0)) {
    throw new RangeError(`Cannot scale RoPE by "${rope.rope_type}": rope_parameters has no number "${key}" above 0`);
  }
  return value;
}
