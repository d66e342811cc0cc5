/**
 * The ops that models are made of. Each records its kernels and how it runs backward.
 *
 * @module
 */
export { attention } from "../ops/attention.ts";
export type { AttentionSize } from "../ops/attention_operands.ts";
export { addBias } from "../ops/bias.ts";
export { crossEntropy, crossEntropyOfLogits, type LossTarget } from "../ops/cross_entropy.ts";
export { type Dropout, dropout } from "../ops/dropout.ts";
export { add, copyTensor, fill, moveGradient } from "../ops/elementwise.ts";
export { embedding, type Segments } from "../ops/embedding.ts";
export { firstTokens } from "../ops/first_tokens.ts";
export { gelu, type GeluForm } from "../ops/gelu.ts";
export { layerNorm } from "../ops/layer_norm.ts";
export { linear, type LinearOptions } from "../ops/linear.ts";
export { matmul } from "../ops/matmul.ts";
export type { MatmulMode, MatmulOperands, MatmulSize } from "../ops/matmul_operands.ts";
export { multiply } from "../ops/multiply.ts";
export { rmsNorm } from "../ops/rms_norm.ts";
export { rope } from "../ops/rope.ts";
export { scale } from "../ops/scale.ts";
export { splitColumns } from "../ops/split_columns.ts";
export { swiglu } from "../ops/swiglu.ts";
export { tanh } from "../ops/tanh.ts";
