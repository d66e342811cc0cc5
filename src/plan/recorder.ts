import { numbersOf, scalesOf } from "../gpu/declarations.ts";
import { dataWords } from "../gpu/formats/index.ts";
import {
  type Access,
  type Bindings,
  type BoundKernel,
  type DispatchSize,
  dispatchSizeOf,
  type Kernel,
  type Params,
  type Values,
} from "../gpu/kernel.ts";
import type { KernelTarget } from "../gpu/device.ts";
import { type ElementType, type Role, size, type Tensor, tensor } from "./tensor.ts";
import type { Variable } from "./variable.ts";

export type { Variable };

/** One dispatch: a kernel, the tensors it touches in binding order, and its numbers. */
export interface Step {
  /** The kernel. */
  readonly kernel: BoundKernel;
  /** One tensor for each of its bindings. */
  readonly tensors: readonly Tensor[];
  /** One number for each of its parameters. */
  readonly params: Readonly<Record<string, number>>;
  /** Workgroups in x, y and z. */
  readonly dispatchSize: DispatchSize;
}

/** The steps of one `run`, in order: a forward pass, or a whole training step. */
export interface Program {
  /** The program's name, for messages. */
  readonly name: string;
  /** The steps, in the order in which they run. */
  readonly steps: readonly Step[];
}

/** The tensor that an op writes a gradient to: `accumulate` is true if another write came before, so add. */
export interface GradientTarget {
  /** The tensor that is written. */
  readonly tensor: Tensor;
  /** True if the values are added to what is there. */
  readonly accumulate: boolean;
}

/**
 * One kernel for every kind of adapter, or one for software adapters and one for GPUs. Same tensors, same parameters.
 */
export type Family<R extends Bindings, W extends Bindings, P extends Params> =
  | Kernel<R, W, P>
  | { readonly portable: Kernel<R, W, P>; readonly tiled: Kernel<R, W, P> };

/** A tensor for each name of a kernel. Those whose type ends with `?` may be missing. */
export type Operands<B extends Bindings> =
  & { readonly [K in keyof B as B[K] extends `${string}?` ? never : K]: Tensor }
  & { readonly [K in keyof B as B[K] extends `${string}?` ? K : never]?: Tensor | undefined };

/** The word at which the scales of a tensor start. */
const scalesStart = (tensor: Tensor): number => tensor.type === "u32" ? 0 : dataWords(tensor.type, size(tensor));

interface TapeEntry {
  readonly output: Variable;
  readonly inputs: readonly Variable[];
  readonly record: (dOutput: Tensor) => void;
  /** Steps that were recorded when the op was registered: values that are written later are no longer its own. */
  readonly at: number;
}

/** How a program is recorded. */
export interface RecorderOptions {
  /** The kernels that ops choose among theirs. */
  readonly target: KernelTarget;
  /** False if only a forward pass is recorded: nothing has a gradient then. */
  readonly training: boolean;
  /**
   * The storage of what ops pass on to each other, and of its gradients. Kernels compute in f32 and round to nearest
   * as they store. Default: f32.
   */
  readonly activations?: "f32" | "bf16";
}

/**
 * Records the dispatches of a program in the order in which they will run; nothing touches the GPU. An op records its
 * forward kernels and registers how it runs backward; `backward()` then records those in reverse.
 */
export class Recorder {
  /** The steps, in the order in which they run. */
  readonly steps: Step[] = [];
  /** The kernels that ops choose among theirs. */
  readonly target: KernelTarget;
  /** False if only a forward pass is recorded: nothing has a gradient then. */
  readonly training: boolean;
  readonly #activations: "f32" | "bf16";
  #tape: TapeEntry[] = [];
  #prefix = "";
  #onComplete: (variable: Variable, gradient: Tensor) => void = () => {};
  /** The step that last wrote each tensor. */
  readonly #writtenAt = new Map<Tensor, number>();
  /** Inputs and outputs of ops, which their backward passes may read. */
  readonly #values = new Set<Tensor>();
  /** The op whose backward pass is being recorded. */
  #running: { readonly at: number; readonly dOutput: Tensor } | undefined;
  readonly #gradients = new Map<Variable, Tensor>();
  /** Number of contributions that the gradient of each variable still lacks. At zero it is complete. */
  readonly #uses = new Map<Variable, number>();

  /** Records for one target. Only with `training` are backward steps kept. */
  constructor({ target, training, activations = "f32" }: RecorderOptions) {
    this.target = target;
    this.training = training;
    this.#activations = activations;
  }

  /** A tensor of this program, named below the current scope. */
  tensor(label: string, shape: readonly number[], role: Role = "activation", type: ElementType = "f32"): Tensor {
    return tensor(this.#prefix + label, shape, role, type);
  }

  /** A tensor of numbers that ops pass on, stored as `activationType` says. */
  activation(label: string, shape: readonly number[]): Tensor {
    return this.tensor(label, shape, "activation", this.activationType(shape));
  }

  /** The storage of activations: as asked for, or f32 where rows are not multiples of four numbers. */
  activationType(shape: readonly number[]): ElementType {
    return shape.at(-1)! % 4 === 0 ? this.#activations : "f32";
  }

  /** Puts `name.` before the labels of all tensors made inside `body`. */
  scope<T>(name: string, body: () => T): T {
    const outer = this.#prefix;
    this.#prefix = `${outer}${name}.`;
    try {
      return body();
    } finally {
      this.#prefix = outer;
    }
  }

  /**
   * Records one dispatch. Missing or misspelt tensors and parameters are type errors.
   * @throws Error in a backward pass that reads a value which an op in place has overwritten since.
   */
  run<const R extends Bindings, const W extends Bindings, const P extends Params>(
    family: Family<R, W, P>,
    tensors: Operands<R> & Operands<W>,
    params: Values<P>,
  ): void {
    const kernel = "portable" in family ? family[this.target === "tiled" ? "tiled" : "portable"] : family;
    const given = tensors as Readonly<Record<string, Tensor | undefined>>, types: Record<string, ElementType> = {};
    for (const name of [...Object.keys(kernel.reads), ...Object.keys(kernel.writes)]) {
      if (given[name]) types[name] = given[name].type;
    }
    const bound = kernel.bind(types);
    for (const [name, access] of Object.entries(bound.bindings)) this.#checkAccess(kernel.name, access, given[name]!);
    const scales = numbersOf(kernel).flatMap((name) => {
      const tensor = given[name];
      return tensor && scalesOf(name) in bound.params ? [[scalesOf(name), scalesStart(tensor)] as const] : [];
    });
    this.steps.push({
      kernel: bound,
      tensors: Object.keys(bound.bindings).map((name) => given[name]!),
      params: { ...params, ...Object.fromEntries(scales) },
      dispatchSize: dispatchSizeOf(kernel, params),
    });
  }

  /** Notes who writes a tensor, and refuses a backward pass that reads what is not there any more. */
  #checkAccess(kernel: string, access: Access, tensor: Tensor): void {
    const writtenAt = this.#writtenAt.get(tensor) ?? -1;
    if (access === "read_write") {
      this.#writtenAt.set(tensor, this.steps.length);
      return;
    }
    if (!this.#running || tensor === this.#running.dOutput || !this.#values.has(tensor)) return;
    if (tensor.role === "gradient" || writtenAt < this.#running.at) return;
    throw new Error(
      `Cannot record the backward pass of ${kernel}: it reads ${tensor.label}, which "${
        this.steps[writtenAt]!.kernel.name
      }" has overwritten since. Give it no other use, or a copy`,
    );
  }

  /** Registers how the op just recorded runs backward. `record` gets the finished gradient of `output`. */
  onBackward(output: Variable, inputs: readonly Variable[], record: (dOutput: Tensor) => void): void {
    if (!this.training || !output.needsGradient) return;
    for (const input of inputs) if (input.needsGradient) this.#uses.set(input, (this.#uses.get(input) ?? 0) + 1);
    for (const { value } of [output, ...inputs]) this.#values.add(value);
    this.#tape.push({ output, inputs, record, at: this.steps.length });
  }

  /** The tensor to write the gradient of `variable` to; undefined if nobody needs it. Call once for each write. */
  gradientFor(variable: Variable): GradientTarget | undefined {
    if (!this.training || !variable.needsGradient) return undefined;
    const existing = this.#gradients.get(variable);
    if (existing) return { tensor: existing, accumulate: true };
    const { value } = variable;
    const role = value.role === "trainable" ? "gradient" : "activation";
    const created = tensor(`d(${value.label})`, value.shape, role, role === "gradient" ? "f32" : value.type);
    this.#gradients.set(variable, created);
    return { tensor: created, accumulate: false };
  }

  /** Declares that `gradient` is the gradient of `variable` from now on: for gradients written in place of a value. */
  setGradient(variable: Variable, gradient: Tensor): void {
    if (this.#gradients.has(variable)) {
      throw new Error(
        `Cannot set the gradient of ${variable.value.label}: it already has one. Record an addition instead`,
      );
    }
    this.#gradients.set(variable, gradient);
  }

  /** The gradient recorded so far, for optimizers and tests. */
  gradientOf(variable: Variable): Tensor | undefined {
    return this.#gradients.get(variable);
  }

  /**
   * Records `body(x)` so that nothing it computes is kept for the backward pass, which records it once more instead
   * (activation checkpointing, Chen et al., 2016). `body` must read no other variable that has a gradient than x and
   * parameters.
   */
  checkpoint(x: Variable, body: (x: Variable) => Variable): Variable {
    if (!this.training) return body(x);
    const outer = this.#tape;
    this.#tape = [];
    const output = body(x);
    const dropped = this.#tape;
    this.#tape = outer;
    this.onBackward(output, [x], (dOutput) => {
      const pending = this.#tape, running = this.#running;
      this.#tape = [];
      this.#running = undefined;
      this.setGradient(body(x), dOutput);
      // The first recording has counted as uses of the parameters so far, so that none was complete too early.
      for (const { inputs } of dropped) {
        for (const input of inputs) if (input.needsGradient) this.#uses.set(input, this.#uses.get(input)! - 1);
      }
      this.#recordBackward();
      this.#tape = pending;
      this.#running = running;
    });
    return output;
  }

  /**
   * Records everything registered with `onBackward`, in reverse. `onComplete` is called for each variable right after
   * its gradient has received its last contribution (never in the middle of an op that still reads the value).
   */
  backward(onComplete: (variable: Variable, gradient: Tensor) => void = () => {}): void {
    this.#onComplete = onComplete;
    this.#recordBackward();
  }

  #recordBackward(): void {
    const tape = this.#tape;
    this.#tape = [];
    for (const { output, inputs, record, at } of tape.reverse()) {
      const dOutput = this.#gradients.get(output), outer = this.#running;
      this.#running = dOutput && { at, dOutput };
      if (dOutput) record(dOutput);
      this.#running = outer;
      for (const input of inputs) {
        if (!input.needsGradient) continue;
        const left = this.#uses.get(input)! - 1;
        this.#uses.set(input, left);
        const gradient = this.#gradients.get(input);
        if (left === 0 && gradient) this.#onComplete(input, gradient);
      }
    }
  }
}
