// The part of @jax-js/jax 0.1.25 that the benchmark uses, as types.
//   Hand-written, as the library is installed on demand (see run.mjs) and `tsc` must pass without it.

/** An array of jax-js. Each use consumes it; `.ref` makes one more use. */
export interface JaxArray {
  readonly ref: JaxArray;
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray | number): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray | number): JaxArray;
  sum(axis?: number | null, options?: { keepdims?: boolean }): JaxArray;
  mean(axis?: number | null, options?: { keepdims?: boolean }): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  ravel(): JaxArray;
  slice(...index: (number | [number, number] | JaxArray)[]): JaxArray;
  /** Waits for the GPU and copies the values to the host. */
  data(): Promise<ArrayLike<number>>;
  /** Submits the work behind this array, without waiting for it. */
  gpuBuffer(): Promise<unknown>;
  dispose(): void;
}

/** A nest of arrays that `jit` and `valueAndGrad` take as one argument. */
export type JaxTree = JaxArray | readonly JaxTree[] | { readonly [name: string]: JaxTree };

/** The names used from the module. */
export interface Jax {
  init(device: "webgpu"): Promise<readonly string[]>;
  defaultDevice(device: "webgpu"): unknown;
  jit<A extends JaxTree[], R extends JaxTree>(f: (...args: A) => R): (...args: A) => R;
  valueAndGrad<P extends JaxTree, A extends JaxTree[]>(
    loss: (parameters: P, ...rest: A) => JaxArray,
  ): (parameters: P, ...rest: A) => [JaxArray, P];
  readonly numpy: {
    array(values: Float32Array | Int32Array | number, options?: { shape?: readonly number[] }): JaxArray;
    zeros(shape: readonly number[]): JaxArray;
    arange(end: number): JaxArray;
    concatenate(arrays: readonly JaxArray[], axis?: number): JaxArray;
    einsum(subscripts: string, ...operands: JaxArray[]): JaxArray;
    equal(a: JaxArray, b: JaxArray): JaxArray;
    exp(x: JaxArray): JaxArray;
    flip(x: JaxArray, axis: number): JaxArray;
    minimum(a: JaxArray | number, b: JaxArray | number): JaxArray;
    reciprocal(x: JaxArray): JaxArray;
    sqrt(x: JaxArray): JaxArray;
    square(x: JaxArray): JaxArray;
    subtract(a: JaxArray | number, b: JaxArray | number): JaxArray;
    where(condition: JaxArray, a: JaxArray | number, b: JaxArray | number): JaxArray;
  };
  readonly nn: {
    dotProductAttention(q: JaxArray, k: JaxArray, v: JaxArray, options: { isCausal: boolean }): JaxArray;
    logSoftmax(x: JaxArray, axis: number): JaxArray;
    logsumexp(x: JaxArray, axis: number): JaxArray;
    oneHot(x: JaxArray, classes: number): JaxArray;
    silu(x: JaxArray): JaxArray;
  };
}
