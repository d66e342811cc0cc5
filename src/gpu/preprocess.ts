import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";

/** Values that specialise a shader: numbers and text replace `${NAME}`, booleans decide `#if ${NAME}`. */
export type Constants = Readonly<Record<string, number | boolean | string>>;

/** The value of numbers with + - * / % between them, without brackets; a quotient is a whole number. */
function evaluate(text: string): number {
  const sums: number[] = [];
  let operator = "+";
  for (const [token] of text.matchAll(/\d+|[-+*/%]/g)) {
    if (!/\d/.test(token)) operator = token;
    else if (operator === "+" || operator === "-") sums.push(operator === "+" ? Number(token) : -Number(token));
    else {
      const left = sums.pop()!, right = Number(token);
      sums.push(operator === "*" ? left * right : operator === "/" ? Math.floor(left / right) : left % right);
    }
  }
  return sums.reduce((sum, summand) => sum + summand, 0);
}

/** Replaces `${4 * i + BK}` by its value, where all its names have one: constants, and the loops around it. */
function substitute(text: string, values: Constants): string {
  return text.replace(/\$\{([\w +*/%-]+)\}/g, (whole, expression: string) => {
    const known = expression.replace(
      /[A-Za-z_]\w*/g,
      (name) => `${typeof values[name] === "number" ? values[name] : name}`,
    );
    if (/[A-Za-z_]/.test(known)) return whole;
    return String(evaluate(known));
  });
}

/**
 * Repeats the lines between `#for NAME in [FROM..]TO` and `#end`, with each number in place of `${NAME}`. The bounds
 * are numbers or constants; FROM is 0 by default, TO does not belong to it. Loops nest.
 */
function expandLoops(shader: string, lines: readonly string[], constants: Constants): string[] {
  const bound = (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : constants[text];
    if (typeof value === "number") return value;
    throw new RangeError(`Cannot resolve shader "${shader}": #for needs the number ${text}, got ${value}`);
  };
  const expanded: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const [, name, from = "0", to] = /^\s*#for (\w+) in (?:(\w+)\.\.)?(\w+)\s*$/.exec(lines[at]!) ?? [];
    if (name === undefined) {
      expanded.push(lines[at]!);
      continue;
    }
    const begin = at + 1;
    for (let depth = 1; depth > 0;) {
      const line = lines[++at]?.trim();
      if (line === undefined) throw new RangeError(`Cannot resolve shader "${shader}": #for ${name} has no #end`);
      depth += line.startsWith("#for ") ? 1 : line === "#end" ? -1 : 0;
    }
    const body = lines.slice(begin, at).join("\n");
    for (let i = bound(from); i < bound(to!); i++) {
      const turn = { ...constants, [name]: i };
      expanded.push(...expandLoops(shader, substitute(body, turn).split("\n"), turn));
    }
  }
  return expanded;
}

/**
 * Resolves `#for NAME in FROM..TO … #end` and `${2 * NAME + 1}`, then `${NAME}` and `#if ${NAME} … #elif ${NAME} …
 * #else … #endif` in the text of a shader file, which is treated as the body of the `wgsl` tagged template of the
 * wgsl-preprocessor package.
 * @throws RangeError if the shader names a constant that is not given, a loop has no end, or a bound is no number.
 */
export function preprocess(shader: string, code: string, constants: Constants): string {
  const pieces: string[] = [], values: (number | boolean | string)[] = [];
  const text = substitute(expandLoops(shader, code.split("\n"), constants).join("\n"), constants);
  let end = 0;
  for (const match of text.matchAll(/\$\{(\w+)\}/g)) {
    const name = match[1]!;
    const value = constants[name];
    if (value === undefined) {
      throw new RangeError(
        `Cannot resolve shader "${shader}": \${${name}} has no value, expected one of [${
          Object.keys(constants).join(", ")
        }]`,
      );
    }
    pieces.push(text.slice(end, match.index));
    values.push(value);
    end = match.index + match[0].length;
  }
  pieces.push(text.slice(end));
  return wgsl(pieces as unknown as TemplateStringsArray, ...values);
}
