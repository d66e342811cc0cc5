import { kindOf } from "../rows/jsonl.ts";
import type { NumberedRow } from "../rows/read_rows.ts";
import { reasonOf } from "../rows/row_source.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { columnText, type Example, exampleOf, placeOf, refuseShape, type Skipped } from "./example.ts";

/** A turn of a conversation. */
export interface Message {
  /** Who speaks: `system`, `user`, `assistant`, or another name that the chat template knows. */
  readonly role: string;
  /** The text of the message. */
  readonly content: string;
}

/** A conversation as the model sees it, with a mask of the assistant's tokens. */
export interface EncodedChat {
  /** Token ids in the order of the text. */
  readonly input_ids: ArrayLike<number>;
  /** 1 at each token that the assistant wrote. */
  readonly assistant_mask: ArrayLike<number | boolean>;
}

/** Options for making rows into sequences of tokens. */
export interface ExampleOptions {
  /** Turns text into ids. */
  readonly tokenizer: Pick<Tokenizer, "encode">;
  /** Bound of the ids that rows of ids may have. */
  readonly vocab_size: number;
  /** Token that ends texts and completions, so that the model learns to stop. Null: nothing does. */
  readonly eos_token_id: number | null;
  /** Inputs of an example at most; the rest is cut off. */
  readonly max_length: number;
  /** Learn the completion only, or the prompt too. */
  readonly completion_only_loss: boolean;
  /** Learn the assistant's turns only, or all of a conversation. */
  readonly assistant_only_loss: boolean;
  /** Applies the model's chat template. Null: it has none, and conversations are refused. */
  readonly encodeChat: ((messages: readonly Message[]) => EncodedChat) | null;
}

const SHAPES = ["{text}", "{prompt, completion}", "{messages}", "{instruction, input, output}", "{input_ids}"];

/**
 * The example that a row of a fine-tuning dataset gives, or why it gives none. The shapes are TRL's (huggingface/trl,
 * dataset_formats):
 * - `{messages: [{role, content}]}`: a conversation in the model's chat template;
 * - `{prompt, completion}`: two strings, or two lists of messages;
 * - `{instruction, input?, output}` (Stanford Alpaca): a prompt with the headings of that dataset, and a completion;
 * - `{text}`: a text, all of it to be learned;
 * - `{input_ids, labels?}`: token ids, with -100 in `labels` at those that are not to be learned, as Hugging Face's
 * datasets keep them.
 * @throws TypeError that names the row, if it has another shape, or a value of another type.
 */
export function languageModelExample(source: NumberedRow, options: ExampleOptions): Example | Skipped {
  const { row } = source;
  if ("input_ids" in row) return fromIds(source, options);
  if ("messages" in row) return fromMessages(source, options);
  if ("prompt" in row && "completion" in row) {
    if (typeof row["prompt"] === "object" && row["prompt"] !== null) return fromMessagePair(source, options);
    return fromPair(columnText(source, "prompt"), columnText(source, "completion"), options);
  }
  if ("instruction" in row && "output" in row) {
    return fromPair(
      alpacaPrompt(columnText(source, "instruction"), columnText(source, "input")),
      columnText(source, "output"),
      options,
    );
  }
  return "text" in row ? fromText(columnText(source, "text"), options) : refuseShape(source, SHAPES);
}

function fromIds(source: NumberedRow, { max_length, vocab_size }: ExampleOptions): Example | Skipped {
  const ids = integersOf(source, "input_ids", 0),
    labels = "labels" in source.row ? integersOf(source, "labels", NOT_LEARNED) : ids;
  if (labels.length !== ids.length) {
    throw new TypeError(
      `Cannot use ${
        placeOf(source)
      }: expected as many labels as input_ids, ${ids.length}, got ${labels.length}. Correct that row`,
    );
  }
  const unknown = ids.find((id) => id >= vocab_size);
  if (unknown !== undefined) {
    throw new RangeError(
      `Cannot use ${placeOf(source)}: its input_ids have ${unknown}, the vocabulary ends at ${
        vocab_size - 1
      }. Encode it with the model's own tokenizer`,
    );
  }
  return exampleOf(ids, (place) => labels[place] !== NOT_LEARNED, max_length);
}

/** Hugging Face's label of a token that does not count. */
const NOT_LEARNED = -100;

function integersOf(source: NumberedRow, key: string, least: number): readonly number[] {
  const value = source.row[key];
  if (Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id >= least)) return value;
  throw new TypeError(
    `Cannot use ${placeOf(source)}: expected "${key}" to be a list of whole numbers from ${least}, got ${
      kindOf(value)
    }. Correct that row`,
  );
}

/** A prompt with the headings that models fine-tuned on Alpaca's data know. */
function alpacaPrompt(instruction: string, input: string): string {
  return `### Instruction:\n${instruction}\n\n${input === "" ? "" : `### Input:\n${input}\n\n`}### Response:\n`;
}

function fromText(text: string, options: ExampleOptions): Example | Skipped {
  if (text.trim() === "") return "empty";
  return exampleOf(endedIds(text, options), () => true, options.max_length);
}

/**
 * Prompt and completion are encoded as one text, as they will be met; the completion begins where that differs from the
 * prompt alone. So special tokens that the tokenizer adds at either end, and a token across the border, do no harm.
 */
function fromPair(prompt: string, completion: string, options: ExampleOptions): Example | Skipped {
  if (completion.trim() === "") return "empty";
  const ids = endedIds(prompt + completion, options);
  const border = options.completion_only_loss ? commonPrefix(options.tokenizer.encode(prompt), ids) : 0;
  return exampleOf(ids, (place) => place >= border, options.max_length);
}

/** Ids of a text with the end-of-text token behind them, once. */
function endedIds(text: string, { tokenizer, eos_token_id }: ExampleOptions): Uint32Array {
  const ids = tokenizer.encode(text);
  if (eos_token_id === null || ids.at(-1) === eos_token_id) return ids;
  const ended = new Uint32Array(ids.length + 1);
  ended.set(ids);
  ended[ids.length] = eos_token_id;
  return ended;
}

function commonPrefix(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

function fromMessages(source: NumberedRow, options: ExampleOptions): Example | Skipped {
  const messages = messagesOf(source, "messages");
  if (messages.length === 0) return "empty";
  const { input_ids, assistant_mask } = chatOf(source, options)(messages);
  return exampleOf(
    input_ids,
    (place) => !options.assistant_only_loss || Boolean(assistant_mask[place]),
    options.max_length,
  );
}

/**
 * The completion is what the assistant says behind the prompt; the header of its turn is the template's, not its own.
 */
function fromMessagePair(source: NumberedRow, options: ExampleOptions): Example | Skipped {
  const prompt = messagesOf(source, "prompt"), completion = messagesOf(source, "completion");
  if (completion.length === 0) return "empty";
  const encodeChat = chatOf(source, options);
  const { input_ids, assistant_mask } = encodeChat([...prompt, ...completion]);
  if (!options.completion_only_loss) return exampleOf(input_ids, () => true, options.max_length);
  const border = prompt.length === 0 ? 0 : commonPrefix(encodeChat(prompt).input_ids, input_ids);
  return exampleOf(input_ids, (place) => place >= border && Boolean(assistant_mask[place]), options.max_length);
}

function chatOf(source: NumberedRow, { encodeChat }: ExampleOptions): NonNullable<ExampleOptions["encodeChat"]> {
  if (!encodeChat) {
    const advice = "Use {prompt, completion} rows of text, or another model";
    throw new TypeError(
      `Cannot use ${placeOf(source)}: it holds a conversation, and the model has no chat template. ${advice}`,
    );
  }
  return (messages) => {
    try {
      return encodeChat(messages);
    } catch (error) {
      throw new TypeError(`Cannot use ${placeOf(source)}: ${reasonOf(error)}`, { cause: error });
    }
  };
}

function messagesOf(source: NumberedRow, key: string): readonly Message[] {
  const fail = (got: string): never => {
    throw new TypeError(
      `Cannot use ${
        placeOf(source)
      }: expected "${key}" to be a list of {role, content} with texts, got ${got}. Correct that row`,
    );
  };
  const value = source.row[key];
  if (!Array.isArray(value)) return fail(kindOf(value));
  for (const [index, message] of value.entries()) {
    for (const name of ["role", "content"]) {
      const part: unknown = message?.[name];
      if (typeof part !== "string") fail(`${kindOf(part)} as ${name} of message ${index + 1}`);
    }
  }
  return value;
}
