/**
 * Helpers of the files that unroll shader text: loops over registers must be text, because indexed private arrays are
 * slow everywhere.
 */
export const range = (count: number): number[] => [...Array(count).keys()];
export const repeatLines = (count: number, line: (i: number) => string): string => range(count).map(line).join("\n");
