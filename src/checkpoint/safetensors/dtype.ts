import type { Refuse } from "./lossless_json.ts";

/**
 * Bits of an element of each type that the format knows, in the order of the reference's enumeration
 * (huggingface/safetensors, safetensors/src/tensor.rs), by which its writer sorts. Not all of them can be computed
 * with.
 */
export const DTYPE_BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;
/** A number format of safetensors files, by its name there. */
export type Dtype = keyof typeof DTYPE_BITS;

export const isDtype = (name: string): name is Dtype => Object.hasOwn(DTYPE_BITS, name);

/** Dimensions for a message, cut short. */
export const describeShape = (shape: readonly number[]): string =>
  `(${shape.slice(0, 8).join(", ")}${shape.length > 8 ? ", …" : ""})`;

/**
 * Bytes of a tensor. It refuses one of more than 2^53 - 1 elements or bits, even if a later dimension is 0, and one
 * that ends inside a byte.
 */
export function tensorBytes(dtype: Dtype, shape: readonly number[], refuse: Refuse): number {
  let elements = 1;
  // A product of 2^53 or more rounds to 2^53 or more, so that it cannot pass for a small one.
  for (const size of shape) {
    if (!Number.isSafeInteger(elements *= size)) {
      refuse(`${dtype} ${describeShape(shape)} has more elements than any file`);
    }
  }
  const bits = elements * DTYPE_BITS[dtype];
  if (!Number.isSafeInteger(bits)) refuse(`${dtype} ${describeShape(shape)} has more bytes than any file`);
  return bits % 8 === 0 ? bits / 8 : refuse(`${dtype} ${describeShape(shape)} ends inside a byte`);
}
