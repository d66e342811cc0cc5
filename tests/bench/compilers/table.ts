// Compiled kernels, and what they say about a training step.

import type { Compiled } from "./printed.ts";
import type { Use } from "./record.ts";

/** Compilers of WGSL: Deno's and Chromium's. */
export const COMPILERS = ["naga", "tint"] as const;
export type Compiler = (typeof COMPILERS)[number];

/** Which compiler, for which of RADV's families of GPUs. */
export interface Way {
  readonly family: string;
  readonly compiler: Compiler;
}

/** A kernel and what became of it: machine code, or a message. */
export interface Row {
  readonly use: Use;
  readonly result: Compiled | string;
}

/** Kernels compiled in one way. */
export interface Table extends Way {
  /** The driver's name for the GPU. */
  readonly adapter: string;
  readonly rows: readonly Row[];
}

/** True for matmuls and attention, which are bound by arithmetic; all others wait for memory. */
export const isProduct = ({ name }: Use): boolean => /^(matmul|flash_attention|attention_)/.test(name);

/** The fma among a kernel's vector instructions, from 0 to 1: with all else for free, its share of the peak. */
export const shareOf = ({ result }: Row): number =>
  typeof result === "string" || result.turn.valu === 0 ? 0 : result.turn.fma / result.turn.valu;

/**
 * The share of the peak that the products of a step reach together, each weighted with the time that its operations
 * take at its own share.
 */
export function stepShare({ rows }: Table, preset: string): number {
  const products = productsOf(rows, preset);
  const sum = (value: (row: Row) => number): number => products.reduce((total, row) => total + value(row), 0);
  return sum((row) => operationsOf(row, preset)) / sum((row) => operationsOf(row, preset) / shareOf(row));
}

/** The product that costs a step most, beyond what it would take at the peak. */
export function costliest({ rows }: Table, preset: string): Row {
  const lost = (row: Row): number => operationsOf(row, preset) * (1 / shareOf(row) - 1);
  return productsOf(rows, preset).reduce((a, b) => (lost(b) > lost(a) ? b : a));
}

const operationsOf = ({ use }: Row, preset: string): number => use.operations[preset] ?? 0;
const productsOf = (rows: readonly Row[], preset: string): Row[] =>
  rows.filter((row) => isProduct(row.use) && operationsOf(row, preset) > 0);

/** A kernel's share of all products of a step. */
export const weightOf = (row: Row, { rows }: Table, preset: string): number =>
  operationsOf(row, preset) /
  productsOf(rows, preset).reduce((sum, other) => sum + operationsOf(other, preset), 0);

/** A kernel and its numbers, in words. */
export function describeRow(row: Row): string {
  const { use: { label }, result } = row;
  if (typeof result === "string") return `${label} cannot be compiled: ${result}`;
  const { turn: { fma, valu }, registers, spills, scratchBytes, waves } = result;
  return `${label}: ${percent(shareOf(row))} fma (${fma} of ${valu}), ${registers} registers, ` +
    `${spills} spilled, ${scratchBytes} bytes of scratch, ${waves} waves`;
}

export const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
