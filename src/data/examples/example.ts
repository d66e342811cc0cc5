import { IGNORED } from "../ignored.ts";
import type { NumberedRow } from "../rows/read_rows.ts";
import { kindOf } from "../rows/jsonl.ts";

/**
 * A row as a language model learns it: `labels[i]` is the token that follows `input_ids[i]`, or IGNORED if that is not
 * to be learned.
 */
export interface Example {
  /** Token ids in the order of the text. */
  readonly input_ids: Uint32Array<ArrayBuffer>;
  /** The id to predict at each token, or IGNORED. */
  readonly labels: Uint32Array<ArrayBuffer>;
}

/** The reason for a row without an example: nothing is in it to learn, or all of that lies behind max_length. */
export type Skipped = "empty" | "cut off";

/**
 * The beginning of `ids`, at most `max_length` inputs and the token that follows each.
 * @param isTarget is true if the token at a place of `ids` is to be learned.
 */
export function exampleOf(
  ids: ArrayLike<number>,
  isTarget: (place: number) => boolean,
  max_length: number,
): Example | Skipped {
  const length = Math.max(0, Math.min(ids.length - 1, max_length));
  const input_ids = new Uint32Array(length), labels = new Uint32Array(length).fill(IGNORED);
  let learned = false;
  for (let i = 0; i < length; i++) {
    input_ids[i] = ids[i]!;
    if (!isTarget(i + 1)) continue;
    labels[i] = ids[i + 1]!;
    learned = true;
  }
  if (learned) return { input_ids, labels };
  for (let place = length + 1; place < ids.length; place++) if (isTarget(place)) return "cut off";
  return "empty";
}

/** The place of a row for messages: "row 3 of train.jsonl". */
export const placeOf = ({ file, number }: NumberedRow): string => `row ${number} of ${file}`;

/** The text of a column; "" for null, which tables hold if there is none. */
export function columnText(source: NumberedRow, key: string): string {
  const value = source.row[key];
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") {
    throw new TypeError(
      `Cannot use ${placeOf(source)}: expected "${key}" to be a string, got ${kindOf(value)}. Correct that row`,
    );
  }
  return value;
}

/** Throws the error of a row that has none of the known shapes. */
export function refuseShape(source: NumberedRow, shapes: readonly string[]): never {
  const keys = Object.keys(source.row);
  throw new TypeError(
    `Cannot use ${placeOf(source)}: expected ${shapes.join(" or ")}, got ${
      keys.length > 0 ? `the keys ${keys.slice(0, 12).join(", ")}` : "no keys"
    }. Rename its columns`,
  );
}
