/**
 * Data: rows of files, examples made of them, packing, batches, and the embedded stories.
 *
 * @module
 */
export { IGNORED } from "../data/ignored.ts";
export {
  type Batch,
  type BatchShape,
  classificationBatch,
  type ModelBatch,
  type Sequence,
  sequenceBatch,
} from "../data/batch.ts";
export { generateStories } from "../data/corpus.ts";
export {
  type ClassExample,
  classificationExample,
  type ClassificationOptions,
  collectLabels,
  type EncodedText,
} from "../data/examples/classification.ts";
export type { Example, Skipped } from "../data/examples/example.ts";
export {
  type EncodedChat,
  type ExampleOptions,
  languageModelExample,
  type Message,
} from "../data/examples/language_model.ts";
export { packExamples } from "../data/packing.ts";
export { fingerprint } from "../data/rows/fingerprint.ts";
export { formatOf, type NumberedRow, readFiles, readRows, type RowFormat } from "../data/rows/read_rows.ts";
export type { ReadableBytes, Row } from "../data/rows/row_source.ts";
export { heldOut, type HoldOut, type SplitFiles, splitFiles } from "../data/rows/split.ts";
export { exampleBatches, type ExampleSource, ExampleStream, type StreamPosition, type Tokens } from "../data/stream.ts";
export { normalizeText, sampleBatch, splitTokens, type TokenIds, validationBatches } from "../data/text.ts";
