/** A JSON object, such as config.json. */
export type Json = Readonly<Record<string, unknown>>;

/** Reads numbers of a config.json and refuses, in one line, what is missing or impossible. */
export class ConfigReader {
  readonly #json: Json;

  /** Reads the settings of one object, of config.json. */
  constructor(json: Json) {
    this.#json = json;
  }

  /** A whole number above 0. */
  count(key: string, fallback?: number): number {
    return this.#whole(key, 1, fallback);
  }

  /** A whole number of at least 0. @throws Error if it is another value, or is absent without a fallback. */
  countOrZero(key: string, fallback?: number): number {
    return this.#whole(key, 0, fallback);
  }

  /** More layers than any model has would only be made for ever. */
  layers(key: string): number {
    return this.#whole(key, 0, undefined, 1024);
  }

  /** A number of classes, each of which gets a name. */
  classes(key: string, fallback: number): number {
    return this.#whole(key, 1, fallback, 2 ** 16);
  }

  /** A finite number. @throws Error if it is another value. */
  number(key: string, fallback: number): number {
    const value = this.#json[key] ?? fallback;
    return typeof value === "number" && Number.isFinite(value) ? value : this.#unexpected(key, "a number");
  }

  /** A number above 0. */
  positive(key: string, fallback: number): number {
    const value = this.number(key, fallback);
    return value > 0 ? value : this.#unexpected(key, "a number above 0");
  }

  /** A share that dropout may drop. */
  dropout(key: string, fallback: number): number {
    const value = this.number(key, fallback);
    return value >= 0 && value < 1 ? value : this.#unexpected(key, "a number from 0, below 1");
  }

  /** A boolean. @throws Error if it is another value. */
  flag(key: string, fallback: boolean): boolean {
    const value = this.#json[key] ?? fallback;
    return typeof value === "boolean" ? value : this.#unexpected(key, "true or false");
  }

  /** A setting that must be one of those that there are kernels for; the first where it is missing. */
  only<T extends string | number | boolean>(key: string, values: readonly T[]): T {
    const value = (this.#json[key] ?? values[0]) as T;
    return values.includes(value)
      ? value
      : this.#unexpected(key, values.map((value) => JSON.stringify(value)).join(" or "));
  }

  /** Throws an Error that tells the problem. */
  refuse(problem: string): never {
    throw new RangeError(
      `Cannot read the model's config.json: ${problem}. Use the config.json that was published with the weights`,
    );
  }

  /** Above 2^26 a product of two no longer counts elements exactly. */
  #whole(key: string, least: number, fallback?: number, most = 2 ** 26): number {
    const value = this.#json[key] ?? fallback;
    return Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most
      ? Number(value)
      : this.#unexpected(key, `a whole number from ${least} to ${most === 2 ** 26 ? "2^26" : most}`);
  }

  #unexpected(key: string, expected: string): never {
    const value = this.#json[key];
    return this.refuse(`"${key}" must be ${expected}, got ${value === undefined ? "nothing" : JSON.stringify(value)}`);
  }
}
