import { kindOf } from "../rows/jsonl.ts";
import type { NumberedRow } from "../rows/read_rows.ts";
import { columnText, placeOf, refuseShape, type Skipped } from "./example.ts";

/** A text, or two, and the class it belongs to. */
export interface ClassExample {
  /** Token ids in the order of the text. */
  readonly input_ids: Uint32Array<ArrayBuffer>;
  /** The text of the two that each token belongs to, 0 or 1, if the tokenizer gives it. */
  readonly token_type_ids?: Uint32Array<ArrayBuffer>;
  /** The class, an index into the model's `id2label`. */
  readonly label: number;
}

/** A text or a pair as a tokenizer encodes it. */
export interface EncodedText {
  /** Token ids in the order of the text. */
  readonly input_ids: Uint32Array<ArrayBuffer>;
  /** The segment of each token: 0 for the first text, 1 for the second. */
  readonly token_type_ids?: Uint32Array<ArrayBuffer>;
}

/** Options for making rows into classified texts. */
export interface ClassificationOptions {
  /** Ids of a text or a pair, with the special tokens between and around them that the model expects. */
  readonly encode: (text: string, text_pair: string | null) => EncodedText;
  /** Ids of an example at most; the rest is cut off. */
  readonly max_length: number;
  /** Token that closes a text, also one that was cut. Null: nothing does. */
  readonly sep_token_id: number | null;
  /** Names of the classes, in the order of their numbers. */
  readonly labels: readonly string[];
}

/** Columns of pairs, then of single texts, as the tasks of GLUE and the Hugging Face hub name them. */
const PAIRS = [["text", "text_pair"], ["sentence1", "sentence2"], ["premise", "hypothesis"]] as const;
const TEXTS = ["text", "sentence"] as const;
const SHAPES = [...TEXTS.map((text) => `{${text}, label}`), ...PAIRS.map(([a, b]) => `{${a}, ${b}, label}`)];

/** Most names of classes: more are taken for texts in the wrong column. */
const MOST_LABELS = 1000;

/**
 * The example that a row of a classification dataset gives, or "empty" if there is no text in it.
 * @throws TypeError that names the row, if it has another shape or type, RangeError if its label is none of the
 * classes.
 */
export function classificationExample(source: NumberedRow, options: ClassificationOptions): ClassExample | Skipped {
  const { row } = source, { max_length, sep_token_id } = options;
  const pair = PAIRS.find(([first, second]) => first in row && second in row);
  const column = pair ? pair[0] : TEXTS.find((name) => name in row);
  if (column === undefined || !("label" in row)) return refuseShape(source, SHAPES);
  const text = columnText(source, column), second = pair ? columnText(source, pair[1]) : null;
  const label = labelIndex(source, options.labels);
  if (`${text}${second ?? ""}`.trim() === "") return "empty";
  const encoded = options.encode(text, second), input_ids = encoded.input_ids.slice(0, max_length);
  if (encoded.input_ids.length > max_length && sep_token_id !== null) input_ids[max_length - 1] = sep_token_id;
  return {
    input_ids,
    ...(encoded.token_type_ids && { token_type_ids: encoded.token_type_ids.slice(0, max_length) }),
    label,
  };
}

/**
 * Names of the classes of a dataset: texts in the order of their first appearance; for numbers LABEL_0 to the largest,
 * the names that Hugging Face gives them. Reads all rows.
 * @throws TypeError that names the row, at another label or if texts and numbers mix; RangeError at more than 1000.
 */
export async function collectLabels(rows: AsyncIterable<NumberedRow>): Promise<readonly string[]> {
  const names = new Set<string>();
  let largest = -1;
  for await (const source of rows) {
    const label = labelOf(source);
    if (typeof label === "number") largest = Math.max(largest, label);
    else names.add(label);
    if (largest >= 0 && names.size > 0) {
      throw new TypeError(
        `Cannot use ${placeOf(source)}: expected all labels to be numbers or all to be names, got ${
          JSON.stringify(label)
        } beside the others. ` +
          "Correct the labels",
      );
    }
    if (Math.max(names.size, largest + 1) > MOST_LABELS) {
      throw new RangeError(
        `Cannot use ${placeOf(source)}: expected at most ${MOST_LABELS} classes, got label ${
          JSON.stringify(label)
        }. Name the column of the class "label"`,
      );
    }
  }
  return largest >= 0 ? Array.from({ length: largest + 1 }, (_, index) => `LABEL_${index}`) : [...names];
}

/** Number of the row's class. */
function labelIndex(source: NumberedRow, labels: readonly string[]): number {
  const label = labelOf(source);
  const text = source.row["label"], named = typeof text === "string" ? labels.indexOf(text) : -1;
  const index = named < 0 && typeof label === "number" ? label : named;
  if (index >= 0 && index < labels.length) return index;
  const known = labels.slice(0, 12).join(", ") + (labels.length > 12 ? ", …" : "");
  throw new RangeError(
    `Cannot use ${placeOf(source)}: expected a label of ${known} or its number, got ${
      JSON.stringify(label)
    }. Correct that row`,
  );
}

/** A class's number, also one that a CSV file holds as text, or its name. */
function labelOf(source: NumberedRow): number | string {
  const label = source.row["label"];
  if (typeof label === "number" && Number.isInteger(label) && label >= 0) return label;
  if (typeof label === "boolean") return Number(label);
  if (typeof label === "string" && /^\d{1,9}$/.test(label)) return Number(label);
  if (typeof label === "string" && label !== "") return label;
  const got = typeof label === "number" ? String(label) : label === "" ? "an empty text" : kindOf(label);
  throw new TypeError(
    `Cannot use ${placeOf(source)}: expected "label" to be an integer from 0 or a name, got ${got}. Correct that row`,
  );
}
