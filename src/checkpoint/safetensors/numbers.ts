import { bf16ToF32 } from "../../gpu/formats/bf16.ts";
import { f16ToF32 } from "../../gpu/formats/f16.ts";
import type { Dtype } from "./dtype.ts";

type View = new (
  buffer: ArrayBuffer,
  byteOffset: number,
  length: number,
) => ArrayLike<number> & { readonly BYTES_PER_ELEMENT: number };
const CONVERT = {
  F32: [Float32Array, (view) => view as Float32Array<ArrayBuffer>],
  F16: [Uint16Array, (view) => f16ToF32(view as Uint16Array)],
  BF16: [Uint16Array, (view) => bf16ToF32(view as Uint16Array)],
  F64: [Float64Array, (view) => Float32Array.from(view)],
  I32: [Int32Array, (view) => Float32Array.from(view)],
  U32: [Uint32Array, (view) => Float32Array.from(view)],
  I16: [Int16Array, (view) => Float32Array.from(view)],
  U16: [Uint16Array, (view) => Float32Array.from(view)],
  I8: [Int8Array, (view) => Float32Array.from(view)],
  U8: [Uint8Array, (view) => Float32Array.from(view)],
  BOOL: [Uint8Array, (view) => Float32Array.from(view)],
} satisfies Partial<
  Record<
    Dtype,
    readonly [View & { readonly BYTES_PER_ELEMENT: number }, (view: ArrayLike<number>) => Float32Array<ArrayBuffer>]
  >
>;

const isConvertible = (dtype: Dtype): dtype is keyof typeof CONVERT => Object.hasOwn(CONVERT, dtype);

/**
 * The numbers in a tensor's bytes as f32: exact, except F64, I32 and U32, which are rounded to the nearest. F32 is a
 * view of `bytes` if they are aligned, so that nothing is copied without need.
 * @throws RangeError for a type that is none of these, and if `bytes` are no whole number of elements.
 */
export function toFloat32(dtype: Dtype, bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  if (!isConvertible(dtype)) {
    throw new RangeError(
      `Cannot use numbers of type ${dtype}: expected one of ${
        Object.keys(CONVERT).join(", ")
      }. Convert the tensor to F32, F16 or BF16`,
    );
  }
  const [View, convert] = CONVERT[dtype], size = View.BYTES_PER_ELEMENT;
  if (bytes.length % size !== 0) {
    throw new RangeError(
      `Cannot use ${bytes.length} bytes as numbers of type ${dtype}: expected a multiple of ${size}`,
    );
  }
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  return convert(new View(buffer, byteOffset, bytes.length / size));
}
