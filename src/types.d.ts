// Declarations of two kinds of module that ship no types.

declare module "*.wgsl" {
  /** The text of the shader file, imported `with { type: "text" }`. */
  const code: string;
  export default code;
}

declare module "wgsl-preprocessor/wgsl-preprocessor.js" {
  /** Joins a template and resolves the `#if`, `#elif`, `#else` and `#endif` in it. */
  export function wgsl(strings: TemplateStringsArray, ...values: readonly (string | number | boolean)[]): string;
}
