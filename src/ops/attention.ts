import type { Recorder, Variable } from "../plan/recorder.ts";
import type { AttentionSize } from "./attention_operands.ts";
import { flashAttention } from "./flash_attention.ts";
import { materialisedAttention } from "./materialised_attention.ts";

/**
 * Whether to hold all probabilities, T / D times the memory of the queries. Forward and backward of 16 heads took, as a share of
 * flashAttention's time on llvmpipe and SwiftShader, for all T from 16 to 256: heads of 16 numbers 1.2 to 1.7, of 32 0.5 to 1.0
 * and 0.7 to 1.4, of 64 0.3 to 0.6. Up to T = 2 D the memory is worth it. A GPU, for which a head's keys stay in workgroup memory
 * and eight launches cost more than three, gains neither time nor memory.
 */
const isMaterialised = ({ variant }: Recorder, { T, D }: AttentionSize): boolean => variant !== "tiled" && D >= 32 && T <= 2 * D;

/** Causal softmax(q kᵀ / √D) v. q: (B*T, H*D), k and v: (B*T, KV*D); returns (B*T, H*D). */
export function attention(r: Recorder, q: Variable, k: Variable, v: Variable, size: AttentionSize): Variable {
  return isMaterialised(r, size) ? materialisedAttention(r, q, k, v, size) : flashAttention(r, q, k, v, size);
}
