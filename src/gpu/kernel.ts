import { type Constants, preprocess } from "./preprocess.ts";

/** The use that a kernel makes of a buffer. */
export type Access = "read" | "read_write";
/** A type of numbers in a parameter of a kernel. */
export type Scalar = "u32" | "i32" | "f32";
/** Workgroups in x, y and z. */
export type DispatchSize = readonly [number, number, number];
/** One number for each parameter of a kernel. */
export type Values<P> = { readonly [K in keyof P]: number };
/** Storage buffers of a kernel by name. */
export type Bindings = Readonly<Record<string, Access>>;
/** Parameters of a kernel by name. */
export type Params = Readonly<Record<string, Scalar>>;

/** A shader and the facts the host needs to launch it. `defineKernel` checks the two against each other. */
export interface KernelDefinition<B, P> {
  /** The shader's name, for labels and messages. */
  readonly name: string;
  /** Text of the shader file, and of the library files it uses. */
  readonly code: string;
  /** Shaders from `shaders/lib/` that are put before this one. */
  readonly libraries?: readonly string[];
  /** Storage buffers in the order of `@binding` in `@group(0)`. */
  readonly bindings: B;
  /**
   * Fields of `struct Params` in `@group(1) @binding(0)`, in order. Scalars of four bytes only, so packing is trivial.
   */
  readonly params: P;
  /** Values of `${NAME}` and `#if ${NAME}` in the shader. */
  readonly constants?: Constants;
  /** Workgroups to launch: a count (spread over x and y past 65 535), or a dispatch size. */
  readonly groups: (params: Values<P>, constants: Constants) => number | DispatchSize;
}

/** A kernel with its constants set, ready to be compiled. */
export interface Kernel<B extends Bindings = Bindings, P extends Params = Params> extends KernelDefinition<B, P> {
  /** The values put into the shader's text. */
  readonly constants: Constants;
  /** WGSL with every constant in place. */
  readonly source: string;
  /** The same kernel with some constants changed. One object for each combination, so pipelines are shared. */
  with(constants: Constants): Kernel<B, P>;
}

/** Limit that the WebGPU specification guarantees on every adapter. */
const MAX_WORKGROUPS_PER_DIMENSION = 65535;

/**
 * Makes a kernel from its definition.
 * @throws Error if the shader declares other bindings or parameters than the host will send. WebGPU itself accepts two
 * swapped buffers or reordered parameters and computes nonsense.
 */
export function defineKernel<const B extends Bindings, const P extends Params>(
  definition: KernelDefinition<B, P>,
): Kernel<B, P> {
  const specialised = new Map<string, Kernel<B, P>>();
  const make = (constants: Constants): Kernel<B, P> => {
    const key = JSON.stringify(Object.entries(constants).sort(([a], [b]) => (a < b ? -1 : 1)));
    let kernel = specialised.get(key);
    if (!kernel) {
      const texts = [definition.code, ...(definition.libraries ?? [])];
      const source = texts.map((text) => preprocess(definition.name, text, constants)).join("\n");
      checkAgrees(definition.name, source, definition.bindings, definition.params);
      kernel = { ...definition, constants, source, with: (changes) => make({ ...constants, ...changes }) };
      specialised.set(key, kernel);
    }
    return kernel;
  };
  return make(definition.constants ?? {});
}

/** Throws unless the shader declares exactly the bindings and parameters the host will send, in the same order. */
export function checkAgrees(name: string, source: string, bindings: Bindings, params: Params): void {
  const code = source.replace(/\/\/.*$/gm, "");
  const declared = [...code.matchAll(/@group\(0\)\s*@binding\((\d+)\)\s*var\s*<\s*storage\s*,\s*(\w+)\s*>\s*(\w+)/g)]
    .map(([, index, access, id]) => `${index} ${access} ${id}`);
  const expected = Object.entries(bindings).map(([id, access], index) => `${index} ${access} ${id}`);
  const body = code.match(/struct\s+Params\s*\{([^}]*)\}/)?.[1] ?? "";
  const fields = [...body.matchAll(/(\w+)\s*:\s*(\w+)/g)].map(([, id, type]) => `${id}: ${type}`);
  const wanted = Object.entries(params).map(([id, type]) => `${id}: ${type}`);
  for (const [what, shader, host] of [["bindings", declared, expected], ["Params", fields, wanted]] as const) {
    if (shader.join("; ") !== host.join("; ")) {
      throw new Error(
        `Kernel "${name}" disagrees with its shader on ${what}: shader has [${shader.join("; ")}], host has [${
          host.join("; ")
        }]`,
      );
    }
  }
}

/**
 * The dispatch size of a launch. A plain count is spread over x and y; the shader undoes this with `num_workgroups`.
 */
export function dispatchSizeOf<P extends Params>(
  kernel: KernelDefinition<Bindings, P> & { constants: Constants },
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
