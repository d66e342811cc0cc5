/** A JSON object, such as config.json. */
export type Json = Readonly<Record<string, unknown>>;

/** Reads numbers of a config.json and refuses, in one line, what is missing or impossible. */
export class ConfigReader {
  readonly #json: Json;

  constructor(json: Json) {
    this.#json = json;
  }

  /** A whole number above 0. */
  count(key: string, fallback?: number): number {
    return this.#whole(key, 1, fallback);
  }

  countOrZero(key: string, fallback?: number): number {
    return this.#whole(key, 0, fallback);
  }

  number(key: string, fallback: number): number {
    const value = this.#json[key] ?? fallback;
    return typeof value === "number" && Number.isFinite(value) ? value : this.#unexpected(key, "a number");
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.#json[key] ?? fallback;
    return typeof value === "boolean" ? value : this.#unexpected(key, "true or false");
  }

  /** A setting that must be one of those that there are kernels for; the first where it is missing. */
  only<T extends string | number | boolean>(key: string, values: readonly T[]): T {
    const value = (this.#json[key] ?? values[0]) as T;
    return values.includes(value) ? value : this.#unexpected(key, values.map((value) => JSON.stringify(value)).join(" or "));
  }

  refuse(problem: string): never {
    throw new RangeError(`Cannot read the model's config.json: ${problem}. Use the config.json that was published with the weights`);
  }

  #whole(key: string, least: number, fallback?: number): number {
    const value = this.#json[key] ?? fallback;
    // Above this a product of two no longer counts elements exactly.
    return Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= 2 ** 26 ? Number(value) : this.#unexpected(key, `a whole number from ${least} to 2^26`);
  }

  #unexpected(key: string, expected: string): never {
    const value = this.#json[key];
    return this.refuse(`"${key}" must be ${expected}, got ${value === undefined ? "nothing" : JSON.stringify(value)}`);
  }
}
