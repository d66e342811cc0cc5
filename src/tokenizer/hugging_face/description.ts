/** A part of tokenizer.json: an object, with a "type" if it is a component. */
export type ComponentDescription = Readonly<Record<string, unknown>>;

/** `value` as an object of JSON, null if it is absent or null. */
export function descriptionOf(value: unknown, name: string): ComponentDescription | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "object" && !Array.isArray(value)) return value as ComponentDescription;
  throw new TypeError(
    `Cannot use the tokenizer: expected ${name} to be an object, got ${show(value)}. Save it again with its library`,
  );
}

/** `value` as a list of objects of JSON. */
export function descriptionsOf(value: unknown, name: string): readonly ComponentDescription[] {
  if (!Array.isArray(value)) {
    throw new TypeError(
      `Cannot use the tokenizer: expected ${name} to be a list, got ${show(value)}. Save it again with its library`,
    );
  }
  return value.map((item, place) => {
    const description = descriptionOf(item, `${name}[${place}]`);
    return description ?? refuseComponent(`${name}[${place}]`, "null");
  });
}

/** Ends loading at a construct whose ids could not be those of Hugging Face's `tokenizers`. */
export function refuseComponent(name: string, got: string): never {
  throw new RangeError(
    `Cannot use the tokenizer: ${name} is ${got}, which is not supported and would give wrong ids. Use a model with ` +
      "another tokenizer",
  );
}

/** A value on a short line. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
