import type { Recorder, Variable } from "../plan/recorder.ts";
import type { AttentionSize } from "./attention_operands.ts";
import { flashAttention } from "./flash_attention.ts";
import { materialisedAttention } from "./materialised_attention.ts";

/**
 * Whether to hold all probabilities, T / D times the memory of the queries. On llvmpipe and SwiftShader, forward and backward of 16
 * heads of 64 numbers took 0.3 to 0.6 of flashAttention's time for all T from 16 to 512; heads of 16 took 1.2 to 1.7 of it. Up to
 * T = 2 D the memory is worth it. A GPU, for which a head's keys stay in workgroup memory and eight launches cost more than three,
 * gains neither time nor memory.
 */
const isMaterialised = ({ variant }: Recorder, { T, D }: AttentionSize): boolean => variant !== "tiled" && D >= 64 && T <= 2 * D;

/** Causal softmax(q kᵀ / √D) v. q: (B*T, H*D), k and v: (B*T, KV*D); returns (B*T, H*D). */
export function attention(r: Recorder, q: Variable, k: Variable, v: Variable, size: AttentionSize): Variable {
  return isMaterialised(r, size) ? materialisedAttention(r, q, k, v, size) : flashAttention(r, q, k, v, size);
}
