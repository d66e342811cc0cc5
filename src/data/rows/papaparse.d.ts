// The package ships no types. Only its parser of a piece of text is used.

declare module "papaparse" {
  interface Outcome {
    readonly data: string[][];
    /** `row` counts from 0 within `data`. */
    readonly errors: readonly { readonly message: string; readonly row: number }[];
    /** `cursor` is the start of the first row that is not in `data`. */
    readonly meta: { readonly cursor: number };
  }
  const Papa: {
    readonly Parser: new (options: { readonly delimiter: string; readonly newline: string }) => {
      parse(text: string, base: number, ignore_last_row: boolean): Outcome;
    };
  };
  export default Papa;
}
