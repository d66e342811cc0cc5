import { uniform } from "../random/philox.ts";
import type { Batch, Sequence } from "./batch.ts";
import type { Skipped } from "./examples/example.ts";
import { packExamples } from "./packing.ts";
import type { NumberedRow } from "./rows/read_rows.ts";

/** Examples that wait in the shuffle's buffer. */
const SHUFFLE_BUFFER = 1024;

/** Anything that has token ids. */
export type Tokens = { readonly input_ids: Uint32Array };

/** The origin of a stream's examples. */
export interface ExampleSource<E extends Tokens> {
  /** Opens the dataset again, at its first row. */
  readonly rows: () => AsyncIterable<NumberedRow>;
  /** Makes an example of a row, or tells why the row is skipped. */
  readonly toExample: (row: NumberedRow) => E | Skipped;
  /** True for several examples in a sequence, each a document of its own, false for one. */
  readonly packing: boolean;
  /** B */
  readonly batch: number;
  /** T */
  readonly length: number;
  /** Lays at most B sequences out as a batch. */
  readonly toBatch: (sequences: readonly Sequence<E>[]) => Batch;
}

/** Position of a stream, for checkpoints: with it, the epochs before need not be read again. */
export interface StreamPosition {
  /** Number of times the stream has begun anew. */
  readonly epoch: number;
  /** Sequences of all epochs before this one. */
  readonly first_sequence: number;
}

/** Rows read in an epoch, and those of them that gave no example, by reason. */
interface RowCounts extends Record<Skipped, number> {
  rows: number;
}

const noRows = (): RowCounts => ({ "rows": 0, "empty": 0, "cut off": 0 });

/**
 * Batches for training, for ever, epoch after epoch. They are a function of (dataset, seed, step) alone, and the same
 * sequences however a step is split into micro-batches. Memory holds the buffer of the file's reader, 1024 examples
 * that wait to be shuffled, and the open sequences of packing.
 *
 * Each epoch's order comes from a buffer out of which random examples are drawn while the next rows take their places:
 * perfect up to 1024 rows, beyond that a row moves freely towards the end but at most 1023 places towards the
 * beginning. So a file sorted by class should be mixed first.
 */
export class ExampleStream<E extends Tokens> {
  readonly #source: ExampleSource<E>;
  readonly #seed: number;
  readonly #count: number;
  /** The first sequence of each epoch for which it is known. */
  readonly #firsts = new Map([[0, 0]]);
  #sequences: AsyncGenerator<Sequence<E>> | null = null;
  /** Index of the next sequence. */
  #next = 0;
  #epoch = 0;
  #counts = noRows();

  /** Begins at the first example of an epoch, or where `position` says. */
  constructor(
    source: ExampleSource<E>,
    { seed, gradient_accumulation_steps }: { seed: number; gradient_accumulation_steps: number },
  ) {
    this.#source = source;
    this.#seed = seed;
    this.#count = gradient_accumulation_steps;
  }

  /** Takes up the position of a checkpoint: epochs before it need not be read again. */
  resume({ epoch, first_sequence }: StreamPosition): void {
    this.#firsts.set(epoch, first_sequence);
  }

  /**
   * The micro-batches of a step. A later step than the last one is read on to from there; for an earlier one, its epoch
   * is read again from its start. One call at a time.
   * @throws RangeError or TypeError at a row that cannot be used, RangeError if no row gives an example.
   */
  async batches(step: number): Promise<Batch[]> {
    const { batch, toBatch } = this.#source;
    try {
      await this.#seek(step * this.#count * batch);
      const batches: Batch[] = [];
      for (let micro = 0; micro < this.#count; micro++) {
        const sequences: Sequence<E>[] = [];
        while (sequences.length < batch) sequences.push(await this.#draw());
        batches.push(toBatch(sequences));
      }
      return batches;
    } catch (error) {
      await this.close(); // a generator that threw would look like one that has ended
      throw error;
    }
  }

  /** Stream position after the last batch returned. */
  get position(): StreamPosition {
    return { epoch: this.#epoch, first_sequence: this.#firsts.get(this.#epoch)! };
  }

  /** Lets go of the file. The next call of `batches` opens it again. */
  async close(): Promise<void> {
    await this.#sequences?.return(undefined);
    this.#sequences = null;
  }

  async #seek(sequence: number): Promise<void> {
    const known = [...this.#firsts].filter(([, first]) => first <= sequence);
    const [epoch, first] = known.reduce((latest, entry) => (entry[0] > latest[0] ? entry : latest));
    if (!this.#sequences || sequence < this.#next || first > this.#next) {
      await this.close();
      this.#open(epoch, first);
    }
    while (this.#next < sequence) await this.#draw();
  }

  #open(epoch: number, first_sequence: number): void {
    this.#firsts.set(epoch, first_sequence);
    this.#epoch = epoch;
    this.#next = first_sequence;
    this.#counts = noRows();
    this.#sequences = sequencesOf(shuffled(examplesOf(this.#source, this.#counts), this.#seed, epoch), this.#source);
  }

  async #draw(): Promise<Sequence<E>> {
    for (;;) {
      const { done, value } = await this.#sequences!.next();
      if (!done) {
        this.#next++;
        return value;
      }
      if (this.#next === this.position.first_sequence) throw noExamples(this.#counts);
      this.#open(this.#epoch + 1, this.#next);
    }
  }
}

/**
 * The first `limit` batches of a dataset in its own order, for validation; the last one may end with padding.
 * @throws RangeError or TypeError at a row that cannot be used, RangeError if no row gives an example.
 */
export async function* exampleBatches<E extends Tokens>(
  source: ExampleSource<E>,
  limit: number,
): AsyncGenerator<Batch> {
  const counts = noRows();
  let batches = 0, sequences: Sequence<E>[] = [];
  for await (const sequence of sequencesOf(examplesOf(source, counts), source)) {
    sequences.push(sequence);
    if (sequences.length < source.batch) continue;
    yield source.toBatch(sequences);
    if (++batches === limit) return;
    sequences = [];
  }
  if (sequences.length > 0) yield source.toBatch(sequences);
  else if (batches === 0) throw noExamples(counts);
}

async function* examplesOf<E extends Tokens>(
  { rows, toExample }: ExampleSource<E>,
  counts: RowCounts,
): AsyncGenerator<E> {
  for await (const row of rows()) {
    counts.rows++;
    const example = toExample(row);
    if (typeof example === "string") counts[example]++;
    else yield example;
  }
}

async function* sequencesOf<E extends Tokens>(
  examples: AsyncIterable<E>,
  { packing, length }: ExampleSource<E>,
): AsyncGenerator<Sequence<E>> {
  if (packing) yield* packExamples(examples, length);
  else for await (const example of examples) yield [example];
}

/** The examples in an order that depends on (seed, epoch) and their own order alone. */
async function* shuffled<E>(examples: AsyncIterable<E>, seed: number, epoch: number): AsyncGenerator<E> {
  const buffer: E[] = [];
  let drawn = 0;
  const place = (): number => Math.floor(uniform(seed, "shuffle", epoch, drawn++) * buffer.length);
  for await (const example of examples) {
    if (buffer.length < SHUFFLE_BUFFER) {
      buffer.push(example);
      continue;
    }
    const at = place(), chosen = buffer[at]!;
    buffer[at] = example;
    yield chosen;
  }
  while (buffer.length > 0) {
    const at = place(), chosen = buffer[at]!, last = buffer.pop()!;
    if (at < buffer.length) buffer[at] = last;
    yield chosen;
  }
}

function noExamples(counts: RowCounts): RangeError {
  return new RangeError(
    `Cannot make a batch: expected rows with something to learn, got ${counts.rows} rows, ${counts.empty} of them ` +
      "empty and " +
      `${counts["cut off"]} with all of it behind max_length. Choose another file or a larger max_length`,
  );
}
