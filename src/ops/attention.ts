import type { Recorder, Variable } from "../plan/recorder.ts";
import { type AttentionSize, checkWindow } from "./attention_operands.ts";
import { flashAttention } from "./flash_attention.ts";
import { materialisedAttention } from "./materialised_attention.ts";

/** True if some probabilities shall be dropped: the flash kernels have no binding left for it. */
const drops = ({ training }: Recorder, { dropout }: AttentionSize): boolean =>
  training && dropout !== undefined && dropout.p !== 0;

/**
 * True if all probabilities shall be held, T / D times the memory of the queries. On llvmpipe and SwiftShader, forward
 * and backward of 16 heads of 64 numbers took 0.3 to 0.6 of flashAttention's time for all T from 16 to 512; heads of 16
 * took 1.2 to 1.7 of it. Up to T = 2 D the memory is worth it. On llvmpipe, heads of 64 and 128 that see padded
 * sequences in both directions took 0.2 to 0.4 of it, those of four causal documents 0.6 to 0.75, and as long from 16
 * documents on. A GPU, for which a head's keys stay in workgroup memory and eight launches cost more than three, gains
 * neither time nor memory.
 */
const isFasterMaterialised = ({ target }: Recorder, { T, D }: AttentionSize): boolean =>
  target !== "tiled" && D >= 64 && T <= 2 * D;

/**
 * softmax(q kᵀ / √D) v over the keys that a position sees: those of its document (size.documents), up to itself
 * (size.causal), the last size.window ones. q: (B*T, H*D), k and v: (B*T, KV*D); returns (B*T, H*D). Values in another
 * document, or later, change no bit of a finite result; but a NaN or infinity there, or a product that overflows, may
 * spread to positions beside it: 0 times it is NaN. With size.dropout a share of the probabilities is dropped after the
 * softmax in training, as in PyTorch's. All probabilities are then in memory, and twice until the backward pass: 2 B H
 * T² floats.
 * @throws Error if the documents' shape or type is wrong; RangeError if the share is not in [0, 1).
 */
export function attention(r: Recorder, q: Variable, k: Variable, v: Variable, size: AttentionSize): Variable {
  checkWindow(size);
  return drops(r, size) || isFasterMaterialised(r, size)
    ? materialisedAttention(r, q, k, v, size)
    : flashAttention(r, q, k, v, size);
}
