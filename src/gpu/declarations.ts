/**
 * The declarations of a kernel: its tensors, the accessors of their numbers, and its parameters, as WGSL that is put
 * before the text of the shader. They depend on the formats of the tensors that the kernel is launched with.
 */
import { type ElementType, formatCode, isQuantised } from "./formats/index.ts";
import type { Access, Bindings, KernelDefinition, Params } from "./kernel.ts";
import { type Constants, preprocess } from "./preprocess.ts";

/**
 * The type of a tensor in a shader; `?` at the end if it may be missing (`HAS_NAME` then tells which).
 *
 * - `numbers`: in any storage format, through accessors alone. `load1_x(i)` and `store1_x(i, value)` are for number i,
 *   `load2_x(i)` for the two from number 2 i on, `load4_x(i)` and `store4_x(i, value)` for the four from number 4 i on,
 *   `load_x(i)` and `store_x(i, value)` for a `Vector` of WIDTH numbers. Kernels write f32 and bf16. `X_PACKED` is true
 *   unless the numbers are f32.
 * - WGSL of a type, like `array<vec2u>` or a struct of a library: the words as they are, under the tensor's name.
 */
export type BindingType = string;

/** The storage formats of the tensors of a launch, by name. */
export type StoredTypes = Readonly<Record<string, ElementType>>;

/** The parts of a definition that declarations are made from. */
type Declaring = Pick<KernelDefinition<Bindings, Bindings, Params>, "name" | "reads" | "writes" | "params">;

/** The tensors of a launch in the order of their bindings, and the parameters of its kernel. */
export interface Declared {
  readonly bindings: Readonly<Record<string, Access>>;
  readonly params: Params;
  readonly constants: Constants;
}

const isOptional = (type: BindingType): boolean => type.endsWith("?");
const constantOf = (name: string): string => name.toUpperCase();

/** The parameter that holds the word at which the scales of a tensor start, if its format has them. */
export const scalesOf = (name: string): string => `${name}_scales`;

/** The tensors of a definition that are numbers of any format. */
export const numbersOf = ({ reads, writes }: { readonly reads: Bindings; readonly writes: Bindings }): string[] =>
  Object.entries({ ...reads, ...writes }).flatMap(([name, type]) => type.startsWith("numbers") ? [name] : []);

/**
 * The constants that a launch's tensors decide, the order of its bindings, and its parameters.
 * @throws RangeError if a tensor is missing that is not optional.
 */
export function declaredBy(
  { name: kernel, reads, writes, params }: Declaring,
  types: StoredTypes,
): Declared {
  const bindings: Record<string, Access> = {}, constants: Record<string, boolean> = {};
  const allParams: Record<string, Params[string]> = { ...params };
  for (const [access, list] of [["read", reads], ["read_write", writes]] as const) {
    for (const [name, type] of Object.entries(list)) {
      const stored = types[name];
      if (isOptional(type)) constants[`HAS_${constantOf(name)}`] = stored !== undefined;
      else if (!stored) {
        throw new RangeError(`Cannot launch kernel "${kernel}" without its tensor ${name}. Give it one`);
      }
      if (stored) bindings[name] = access;
      if (!type.startsWith("numbers")) continue;
      constants[`${constantOf(name)}_PACKED`] = stored !== undefined && stored !== "f32";
      if (stored && stored !== "u32" && isQuantised(stored)) allParams[scalesOf(name)] = "u32";
    }
  }
  return { bindings, params: allParams, constants };
}

/** The WGSL of all declarations that the text of a kernel needs. @throws RangeError as `Kernel.bind`. */
export function declarations(
  { name: kernel, reads, writes }: Declaring,
  { bindings, params, constants }: Declared,
  types: StoredTypes,
  text: string,
): string {
  const all = { ...reads, ...writes };
  const tensors = Object.entries(bindings).map(([name, access], binding) => {
    const type = all[name]!.replace("?", ""), at = { kernel, name, access, binding };
    return type === "numbers"
      ? numbers(at, types[name]!, Number(constants["WIDTH"] ?? 1), text)
      : words(at, types[name]!, type);
  });
  return [...aliases(constants, text + tensors.join()), ...tensors, ...paramsBlock(params)].join("\n");
}

interface Place {
  readonly kernel: string;
  readonly name: string;
  readonly access: Access;
  readonly binding: number;
}

/** The declaration of words as they are. Those of a packed format are what the shader takes them for only as u32. */
function words({ kernel, name, access, binding }: Place, stored: ElementType, type: string): string {
  if (stored !== "f32" && stored !== "u32" && type !== "array<u32>") {
    throw new RangeError(`Cannot bind ${name} of kernel "${kernel}" to ${stored}: expected f32 or u32, as ${type}`);
  }
  return `@group(0) @binding(${binding}) var<storage, ${access}> ${name}: ${type};`;
}

/** The declaration of a tensor of numbers, and those of its accessors that the text uses. */
function numbers(place: Place, stored: ElementType, width: number, text: string): string {
  const { kernel, name, access, binding } = place;
  const uses = (accessor: string): boolean => new RegExp(`\\b${accessor}_${name}\\b`).test(text);
  const wide = `${width}`;
  const used = (verb: string, lanes: string): boolean => uses(verb + lanes) || (lanes === wide && uses(verb));
  const constants = {
    NAME: name,
    ACCESS: access,
    BINDING: binding,
    LOAD1: used("load", "1"),
    LOAD2: used("load", "2"),
    LOAD4: used("load", "4"),
    STORE1: used("store", "1"),
    STORE4: used("store", "4"),
  };
  const FOURS = !constants.LOAD1 && !constants.LOAD2 && !constants.STORE1;
  if (stored === "u32") throw new RangeError(`Cannot bind ${name} of kernel "${kernel}" to u32: expected numbers`);
  if ((constants.STORE1 || constants.STORE4) && stored !== "f32" && stored !== "bf16") {
    throw new RangeError(`Cannot store ${name} of kernel "${kernel}" as ${stored}: expected f32 or bf16`);
  }
  if (constants.STORE1 && stored !== "f32") {
    throw new RangeError(
      `Cannot store ${name} of kernel "${kernel}" as ${stored}: it writes single numbers, of which several share a ` +
        "word. Store it as f32, or make its rows multiples of 4",
    );
  }
  return [
    preprocess(kernel, formatCode(stored), { ...constants, FOURS }).trim(),
    ...(uses("load") ? [`fn load_${name}(i: u32) -> Vector { return load${width}_${name}(i); }`] : []),
    ...(uses("store") ? [`fn store_${name}(i: u32, new_value: Vector) { store${width}_${name}(i, new_value); }`] : []),
  ].join("\n");
}

/** The types of a `Vector` of WIDTH numbers, of their bits, and of a decision for each. */
function aliases({ WIDTH }: Constants, text: string): string[] {
  const types = WIDTH === 4
    ? { Vector: "vec4f", Bits: "vec4u", Booleans: "vec4<bool>" }
    : { Vector: "f32", Bits: "u32", Booleans: "bool" };
  const uses = (name: string): boolean => new RegExp(`\\b${name}\\b`).test(text);
  return Object.entries(types).flatMap(([name, type]) => uses(name) ? [`alias ${name} = ${type};`] : []);
}

function paramsBlock(params: Params): string[] {
  const fields = Object.entries(params).map(([name, type]) => `${name}: ${type}`);
  if (fields.length === 0) return [];
  return [`struct Params { ${fields.join(", ")} }`, "@group(1) @binding(0) var<uniform> params: Params;"];
}
