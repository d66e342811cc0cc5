import { type BindingType, declarations, declaredBy, type StoredTypes } from "./declarations.ts";
import { type Constants, preprocess } from "./preprocess.ts";

/** The use that a kernel makes of a buffer. */
export type Access = "read" | "read_write";
/** A type of numbers in a parameter of a kernel. */
export type Scalar = "u32" | "i32" | "f32";
/** Workgroups in x, y and z. */
export type DispatchSize = readonly [number, number, number];
/** One number for each parameter of a kernel. */
export type Values<P> = { readonly [K in keyof P]: number };
/** Tensors of a kernel by name, with their types in the shader. */
export type Bindings = Readonly<Record<string, BindingType>>;
/** Parameters of a kernel by name. */
export type Params = Readonly<Record<string, Scalar>>;

/**
 * A shader and the facts the host needs to launch it. The shader's text declares neither tensors nor parameters: their
 * declarations are made from this object, and from the formats of the tensors that a launch is given.
 */
export interface KernelDefinition<R, W, P> {
  /** The shader's name, for labels and messages. */
  readonly name: string;
  /** Text of the shader file. */
  readonly code: string;
  /** Shaders from `shaders/lib/` that are put after this one. */
  readonly libraries?: readonly string[];
  /** Tensors that are only read: see `BindingType`. */
  readonly reads: R;
  /** Tensors that are written, and may be read too. */
  readonly writes: W;
  /** Fields of `params`, in order. */
  readonly params: P;
  /** Values of `${NAME}` and `#if ${NAME}` in the shader. */
  readonly constants?: Constants;
  /** Workgroups to launch: a count (spread over x and y past 65 535), or a dispatch size. */
  readonly groups: (params: Values<P>, constants: Constants) => number | DispatchSize;
}

/** A kernel with its constants set: what ops record. */
export interface Kernel<R extends Bindings = Bindings, W extends Bindings = Bindings, P extends Params = Params>
  extends KernelDefinition<R, W, P> {
  /** The values put into the shader's text. */
  readonly constants: Constants;
  /** The same kernel with some constants changed. One object for each combination, so pipelines are shared. */
  with(constants: Constants): Kernel<R, W, P>;
  /**
   * The kernel for tensors of these types; a name that is missing is an optional tensor that is not given. One object
   * for each combination.
   * @throws RangeError if the shader writes single numbers of a tensor in which several share a word.
   */
  bind(types: StoredTypes): BoundKernel;
}

/** A kernel ready to be compiled, for tensors of known types. */
export interface BoundKernel {
  /** The shader's name, for labels and messages. */
  readonly name: string;
  /** The values put into the shader's text. */
  readonly constants: Constants;
  /** Its tensors, in the order of `@binding` in `@group(0)`. */
  readonly bindings: Readonly<Record<string, Access>>;
  /** Fields of `struct Params` in `@group(1) @binding(0)`, in order. */
  readonly params: Params;
  /** WGSL as the compiler gets it. */
  readonly source: string;
  /** The WGSL with line numbers, which compilers name in their messages. */
  toString(): string;
}

/** Limit that the WebGPU specification guarantees on every adapter. */
const MAX_WORKGROUPS_PER_DIMENSION = 65535;

/**
 * Makes a kernel from its definition.
 * @throws Error if the shader's text declares tensors or parameters itself.
 */
export function defineKernel<const R extends Bindings, const W extends Bindings, const P extends Params>(
  definition: KernelDefinition<R, W, P>,
): Kernel<R, W, P> {
  if (definition.code.includes("@binding")) {
    throw new Error(
      `Kernel "${definition.name}" declares a binding in its shader: expected none, as all are made from its ` +
        "definition. Name it in `reads` or `writes` instead",
    );
  }
  const specialised = new Map<string, Kernel<R, W, P>>();
  const make = (constants: Constants): Kernel<R, W, P> => {
    const key = JSON.stringify(Object.entries(constants).sort(([a], [b]) => (a < b ? -1 : 1)));
    let kernel = specialised.get(key);
    if (!kernel) {
      const bound = new Map<string, BoundKernel>();
      kernel = {
        ...definition,
        constants,
        with: (changes) => make({ ...constants, ...changes }),
        bind: (types) => {
          const key = JSON.stringify(types);
          if (!bound.has(key)) bound.set(key, bind(definition, constants, types));
          return bound.get(key)!;
        },
      };
      specialised.set(key, kernel);
    }
    return kernel;
  };
  return make(definition.constants ?? {});
}

function bind(
  definition: Omit<KernelDefinition<Bindings, Bindings, Params>, "groups">,
  constants: Constants,
  types: StoredTypes,
): BoundKernel {
  const { name, code, libraries = [] } = definition;
  const declared = declaredBy(definition, types), known = { ...constants, ...declared.constants };
  const text = [code, ...libraries].map((part) => preprocess(name, part, known)).join("\n");
  const source = `${declarations(definition, { ...declared, constants: known }, types, text)}\n${text}`;
  return {
    name,
    constants: known,
    bindings: declared.bindings,
    params: declared.params,
    source,
    toString: () => numbered(source),
  };
}

/** A text with the number of each line before it. */
function numbered(text: string): string {
  const lines = text.split("\n"), width = String(lines.length).length;
  return lines.map((line, i) => `${String(i + 1).padStart(width)}  ${line}`).join("\n");
}

/**
 * The dispatch size of a launch. A plain count is spread over x and y; the shader undoes this with `num_workgroups`.
 */
export function dispatchSizeOf<P extends Params>(
  kernel: Pick<Kernel<Bindings, Bindings, P>, "groups" | "constants">,
  params: Values<P>,
): DispatchSize {
  const groups = kernel.groups(params, kernel.constants);
  if (typeof groups !== "number") return groups;
  const rows = Math.max(1, ceilDiv(groups, MAX_WORKGROUPS_PER_DIMENSION));
  return [Math.max(1, ceilDiv(groups, rows)), rows, 1];
}

export const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);

/** Launch geometry of a kernel whose threads are numbered 0 … n - 1. */
export const perThread = ({ n }: { readonly n: number }, { WORKGROUP }: Constants): number =>
  ceilDiv(n, Number(WORKGROUP));
