// Storage formats: the layouts of a tensor's numbers in its words (u32). The GPU keeps them, and kernels unpack them to
// f32 as they load.
//
// | format | bits a number | |
// | --- | --- | --- |
// | f32 | 32 | |
// | bf16 | 16 | the range of f32, 8 bits of precision; ties to even |
// | f16 | 16 | 11 bits of precision up to 65 504; ties to even |
// | int8 | 8.5 | 255 steps between -absmax and absmax of each group of 64 numbers |
// | nf4 | 4.5 | the 16 quantiles of QLoRA (Dettmers et al., 2023) between -absmax and absmax of each group |
//
// The words of int8 and nf4 are those of the numbers, then an f32 for each group of GROUP consecutive numbers.

import { BF16 } from "./bf16.ts";
import { F16 } from "./f16.ts";
import { F32 } from "./f32.ts";
import type { FormatDefinition } from "./format.ts";
import { GROUP } from "./groups.ts";
import { INT8 } from "./int8.ts";
import { NF4_FORMAT } from "./nf4.ts";

export { GROUP };

type Floats = Float32Array<ArrayBuffer>;
type Words = Uint32Array<ArrayBuffer>;

/** A storage format. */
export type Format = "f32" | "bf16" | "f16" | "int8" | "nf4";
/** The type of a tensor's elements: numbers in a storage format, or words. */
export type ElementType = Format | "u32";

const FORMATS: Readonly<Record<Format, FormatDefinition>> = {
  f32: F32,
  bf16: BF16,
  f16: F16,
  int8: INT8,
  nf4: NF4_FORMAT,
};

/** The WGSL of a format, which declares a tensor and its accessors. */
export const formatCode = (format: Format): string => FORMATS[format].code;
/** True if groups of numbers share a scale. */
export const isQuantised = (format: Format): boolean => FORMATS[format].grouped;
/** Numbers that can be packed without their neighbours: a word or a group of them. */
export const packUnit = (format: Format): number => (isQuantised(format) ? GROUP : FORMATS[format].perWord);
/** Words of the numbers alone, which is where the scales start. */
export const dataWords = (format: Format, length: number): number => Math.ceil(length / FORMATS[format].perWord);
/** Words of a tensor of `length` numbers. */
export const wordsOf = (format: Format, length: number): number =>
  dataWords(format, length) + (isQuantised(format) ? Math.ceil(length / GROUP) : 0);

/**
 * The words of a tensor with these values, each rounded to the nearest number of the format; f32 is a view, no copy.
 * @throws RangeError if int8 or nf4 values are not finite: they would spoil their group. `name` and `first`, the number
 * of the first value in its tensor, are for the message.
 */
export function pack(format: Format, values: Floats, name = "the values", first = 0): Words {
  const words = FORMATS[format].pack(values);
  if (!isQuantised(format)) return words;
  // A group's scale is finite if all its numbers are.
  const scales = new Float32Array(words.buffer, 4 * dataWords(format, values.length)),
    group = scales.findIndex((scale) => !Number.isFinite(scale));
  if (group < 0) return words;
  const bad = values.findIndex((value, i) => i >= GROUP * group && !Number.isFinite(value));
  throw new RangeError(
    `Cannot store ${name} as ${format}: number ${first + bad} is ${
      values[bad]
    }, expected finite ones. Store it as f32, f16 or bf16`,
  );
}

/**
 * The numbers of a tensor of `length` from all its words. f32 is a view, no copy; int8 and nf4 are rounded to f32 as
 * kernels round them.
 */
export function unpack(format: Format, words: Words, length: number): Floats {
  return FORMATS[format].unpack(words, length);
}
