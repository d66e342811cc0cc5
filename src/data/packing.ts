import type { Sequence } from "./batch.ts";

/** Sequences that are open for short examples at a time. */
const OPEN_SEQUENCES = 32;

/**
 * Fills sequences of `length` positions with whole examples: each goes into the first open sequence that has room for
 * it (first fit). At most 32 sequences are open, so memory does not grow with the dataset; when another is needed, the
 * fullest is closed.
 * @throws RangeError at an example that no sequence has room for.
 */
export async function* packExamples<E extends { readonly input_ids: ArrayLike<number> }>(
  examples: AsyncIterable<E>,
  length: number,
): AsyncGenerator<Sequence<E>> {
  const open: { readonly examples: E[]; free: number }[] = [];
  const close = (index: number): Sequence<E> => open.splice(index, 1)[0]!.examples;
  for await (const example of examples) {
    const size = example.input_ids.length;
    if (size > length) {
      throw new RangeError(
        `Cannot pack an example of ${size} positions: expected at most ${length}. Use a larger max_length`,
      );
    }
    let at = open.findIndex(({ free }) => free >= size);
    if (at < 0) {
      if (open.length === OPEN_SEQUENCES) yield close(fullest(open));
      at = open.push({ examples: [], free: length }) - 1;
    }
    open[at]!.examples.push(example);
    open[at]!.free -= size;
    if (open[at]!.free === 0) yield close(at);
  }
  while (open.length > 0) yield close(0);
}

/** The first of those with the least room. */
function fullest(open: readonly { readonly free: number }[]): number {
  return open.reduce((best, { free }, index) => (free < open[best]!.free ? index : best), 0);
}
