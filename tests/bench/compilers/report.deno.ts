// Compiled kernels as Markdown: a table of steps, and one of kernels for each compiler and GPU.

import { table as markdownTable } from "../markdown.mjs";
import { PRESETS } from "./presets.ts";
import { describeRow, isProduct, percent, type Row, shareOf, stepShare, type Table, weightOf } from "./table.ts";

const KERNEL_HEAD = [
  "kernel",
  "threads",
  "registers",
  "workgroup memory",
  "spills",
  "scratch",
  "waves",
  "fma",
  "of vector",
  "scalar",
  "workgroup",
  "buffers",
  "share",
];

/** A row with less of every step is left out. */
const SMALL = 0.01;

/** @param presets whole steps, whose products are shown and weighted; without any, every kernel is shown. */
export function report(tables: readonly Table[], presets: readonly string[]): string {
  const steps = presets.filter((preset) => tables[0]!.rows.some((row) => isProduct(row.use) && uses(row, preset)));
  const parts = tables.flatMap((table) => [
    `**${table.family}, ${table.compiler}** (${table.adapter}): one turn of the main loop.`,
    kernelTable(table, steps),
    ...(steps.length > 0 ? [`Of the others: ${extremesOf(table.rows.filter(({ use }) => !isProduct(use)))}.`] : []),
  ]);
  return [...(steps.length > 0 ? [stepTable(tables, steps)] : []), ...parts].join("\n\n");
}

/** The share of the peak that each step can reach. */
const stepTable = (tables: readonly Table[], presets: readonly string[]): string =>
  markdownTable(
    ["step", ...tables.map(({ family, compiler }) => `${family}, ${compiler}`)],
    presets.map((preset) => [
      `\`${preset}\`: ${PRESETS[preset]?.summary}`,
      ...tables.map((table) => percent(stepShare(table, preset))),
    ]),
  ).join("\n");

function kernelTable(table: Table, presets: readonly string[]): string {
  const weights = (row: Row): number[] => presets.map((preset) => weightOf(row, table, preset));
  const rows = table.rows.filter((row) =>
    presets.length === 0 || (isProduct(row.use) && weights(row).some((weight) => weight >= SMALL))
  );
  const cells = rows.map((row) => [
    ...kernelCells(row),
    ...weights(row).map((weight) => (weight > 0 ? percent(weight) : "")),
  ]);
  return markdownTable([...KERNEL_HEAD, ...presets.map((preset) => `of \`${preset}\``)], cells).join("\n");
}

function kernelCells(row: Row): (string | number)[] {
  const { use: { label }, result } = row;
  if (typeof result === "string") return [label, result, ...Array<string>(KERNEL_HEAD.length - 2).fill("")];
  const { threads, registers, workgroupBytes, spills, scratchBytes, waves, turn } = result;
  return [
    ...[label, threads, registers, workgroupBytes, spills, scratchBytes, waves],
    ...[turn.fma, turn.valu, turn.salu, turn.lds, turn.vmem, percent(shareOf(row))],
  ];
}

/** The worst among kernels that wait for memory: they need many waves. */
function extremesOf(rows: readonly Row[]): string {
  const compiled = rows.flatMap(({ result }) => (typeof result === "string" ? [] : [result]));
  const spilling = rows.filter(({ result }) =>
    typeof result === "string" || result.spills > 0 || result.scratchBytes > 0
  );
  const most = Math.max(...compiled.map(({ registers }) => registers));
  const fewest = Math.min(...compiled.map(({ waves }) => waves));
  return `${rows.length} kernels, at most ${most} registers, at least ${fewest} waves, ` +
    (spilling.length === 0 ? "no spills, no scratch" : spilling.map(describeRow).join("; "));
}

const uses = ({ use }: Row, preset: string): boolean => use.operations[preset] !== undefined;
