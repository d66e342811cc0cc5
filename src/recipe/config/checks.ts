import * as v from "valibot";

/** Checks of single settings. Their messages complete `Cannot use "name": …`. */
export const bounded = (description: string, test: (value: number) => boolean) =>
  v.pipe(v.number(`must be ${description}`), v.check(test, `must be ${description}`));
export const count = bounded("a whole number above 0", (x) => Number.isSafeInteger(x) && x > 0);
export const countOrZero = bounded("a whole number, 0 or more", (x) => Number.isSafeInteger(x) && x >= 0);
export const positive = bounded("a number above 0", (x) => Number.isFinite(x) && x > 0);
export const zeroOrMore = bounded("a number, 0 or more", (x) => Number.isFinite(x) && x >= 0);
/** More layers than any model has would only be recorded for ever. */
export const layers = bounded("a whole number from 1 to 1024", (x) => Number.isInteger(x) && x >= 1 && x <= 1024);
export const stepsOrShare = bounded(
  "a whole number of steps, or a share of them below 1",
  (x) => x >= 0 && (x < 1 || Number.isSafeInteger(x)),
);
export const fraction = bounded("a number from 0 up to, not including, 1", (x) => x >= 0 && x < 1);
export const share = bounded("a number from 0 to 1", (x) => x >= 0 && x <= 1);
export const text = v.string("must be text");
export const flag = v.boolean("must be true or false");
export const oneOf = <const T extends readonly string[]>(names: T) =>
  v.picklist(names, `must be one of ${names.join(", ")}`);
export const patterns = v.array(text, "must be a list of parts of module names");

/** Bytes of a size such as "512MB" or "1.5 GiB"; undefined if it is none. */
export function parseByteSize(size: string): number | undefined {
  const [, number, prefix, binary] = /^\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*$/i.exec(size) ?? [];
  if (number === undefined) return undefined;
  return Number(number) * (binary ? 1024 : 1000) ** " KMGT".indexOf((prefix || " ").toUpperCase());
}
