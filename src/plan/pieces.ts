import { dataWords, GROUP, isQuantised, pack, packUnit } from "../gpu/formats/index.ts";
import { bytesOf, size, type Tensor } from "./tensor.ts";

/** Data that the host writes: numbers, or words as they are. */
export type Data = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** Words, and the index of the first of them in their tensor. */
export interface TensorPiece {
  readonly at: number;
  readonly words: Uint32Array<ArrayBuffer>;
}

/**
 * The words of some of a tensor's data, and their places: those of a quantised format's scales lie apart. Floats are
 * packed to the tensor's type, u32 are its words as they are. `first` is the number of the first float, or of the first
 * word; without it the data are the whole tensor.
 * @throws RangeError if the data do not fit, if numbers that are packed together are torn apart, or as `pack` throws.
 */
export function piecesOf(tensor: Tensor, data: Data, first?: number): readonly TensorPiece[] {
  const { label, type } = tensor, isWords = type === "u32" || data instanceof Uint32Array;
  const length = isWords ? bytesOf(tensor) / 4 : size(tensor);
  if (first === undefined && data.length !== length) {
    throw new RangeError(`Cannot write ${4 * data.length} bytes to ${label}: it has ${4 * length}`);
  }
  const start = first ?? 0, end = start + data.length;
  if (!Number.isInteger(start) || start < 0 || end > length) {
    throw new RangeError(
      `Cannot write ${data.length} ${isWords ? "words" : "numbers"} from ${start} on to ${label}: it has ${length}`,
    );
  }
  if (isWords || type === "f32") {
    return [{ at: start, words: new Uint32Array(data.buffer, data.byteOffset, data.length) }];
  }
  const together = packUnit(type);
  if (start % together !== 0 || (end % together !== 0 && end !== length)) {
    throw new RangeError(
      `Cannot write numbers ${start} to ${end} of ${label} in ${type}: expected multiples of ${together}, or its ` +
        `end at ${length}`,
    );
  }
  const words = pack(type, data as Float32Array<ArrayBuffer>, label, start), count = dataWords(type, data.length);
  const numbers = { at: dataWords(type, start), words: words.subarray(0, count) };
  return isQuantised(type)
    ? [numbers, { at: dataWords(type, length) + start / GROUP, words: words.subarray(count) }]
    : [numbers];
}
