import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";

/** Values that specialise a shader: numbers and text replace `${NAME}`, booleans decide `#if ${NAME}`. */
export type Constants = Readonly<Record<string, number | boolean | string>>;

/**
 * Resolves `${NAME}` and `#if ${NAME} … #elif ${NAME} … #else … #endif` in the text of a shader file.
 * The file is treated as the body of the `wgsl` tagged template of the wgsl-preprocessor package.
 * @throws RangeError if the shader names a constant that is not given.
 */
export function preprocess(shader: string, code: string, constants: Constants): string {
  const pieces: string[] = [], values: (number | boolean | string)[] = [];
  let end = 0;
  for (const match of code.matchAll(/\$\{(\w+)\}/g)) {
    const name = match[1]!;
    const value = constants[name];
    if (value === undefined) {
      throw new RangeError(
        `Cannot resolve shader "${shader}": \${${name}} has no value, expected one of [${
          Object.keys(constants).join(", ")
        }]`,
      );
    }
    pieces.push(code.slice(end, match.index));
    values.push(value);
    end = match.index + match[0].length;
  }
  pieces.push(code.slice(end));
  return wgsl(pieces as unknown as TemplateStringsArray, ...values);
}
