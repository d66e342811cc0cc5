// Instructions of AMD's machine code (RDNA and GCN), counted by what executes them, loop by loop.

/** Instructions by the unit that executes them. */
export interface Counts {
  /** Multiplications and additions in one: what a peak is made of. */
  readonly fma: number;
  /** All of the vector unit, fma among them. Both halves of a dual-issued pair count. */
  readonly valu: number;
  /** Of the scalar unit: loops, uniform addresses. */
  readonly salu: number;
  /** Loads and stores of workgroup memory. */
  readonly lds: number;
  /** Loads and stores of buffers. */
  readonly vmem: number;
}

/** A loop, without what is in the loops within. */
interface Loop {
  readonly own: Counts;
  readonly from: number;
  readonly to: number;
  readonly inner: Loop[];
  /** The loop around it. */
  readonly outer: Loop | undefined;
  /** Number of turns, where the code tells. */
  readonly turns: number | undefined;
}

const NONE: Counts = { fma: 0, valu: 0, salu: 0, lds: 0, vmem: 0 };
const UNITS = Object.keys(NONE) as (keyof Counts)[];
const FMA = /^v_(dual_)?(fma|fmac|fmaak|fmamk|mac|mad|madak|madmk)_(f16|f32|mix)/;
/** Scalar instructions that compute nothing. */
const IDLE = /^s_(nop|wait|delay_alu|barrier|endpgm|(set_)?inst_prefetch|clause|sendmsg|setprio|load|buffer_load)/;
const NUMBER = "(\\d+|0x[0-9a-f]+)";

/**
 * One turn of a kernel's main loop with everything in it; all of a kernel without loops. The main loop is the one with
 * most fma, or rather the first around it whose number of turns the code does not fix.
 */
export function mainTurn(assembly: string): Counts {
  const lines = linesOf(assembly), loops = loopsOf(lines);
  let main = loops.toSorted((a, b) => b.own.fma - a.own.fma || depthOf(b) - depthOf(a))[0];
  while (main?.turns !== undefined && main.outer) main = main.outer;
  return main ? turnOf(main) : countsOf(lines);
}

/** One turn of a loop; loops within count as often as they turn, once where that is unknown. */
const turnOf = ({ own, inner }: Loop): Counts =>
  inner.reduce((sum, loop) => plus(sum, turnOf(loop), loop.turns ?? 1), own);

const depthOf = ({ outer }: Loop): number => outer ? 1 + depthOf(outer) : 1;

function plus(a: Counts, b: Counts, times: number): Counts {
  const sum: Record<keyof Counts, number> = { ...a };
  for (const unit of UNITS) sum[unit] += times * b[unit];
  return sum;
}

/** Instructions and labels without comments. */
const linesOf = (assembly: string): string[] =>
  assembly.split("\n").map((line) => line.replace(/;.*$/, "").trim()).filter(Boolean);

/** A loop is what lies between a label and the last branch back to it. */
function loopsOf(lines: readonly string[]): Loop[] {
  const labels = new Map(lines.flatMap((line, i) => (/^BB\d+:$/.test(line) ? [[line.slice(0, -1), i] as const] : [])));
  const ends = new Map<number, number>();
  for (const [i, line] of lines.entries()) {
    const start = labels.get(line.match(/^s_c?branch\w*\s+(BB\d+)/)?.[1] ?? "");
    if (start !== undefined && start <= i) ends.set(start, i);
  }
  const spans = [...ends].map(([from, to]) => ({ from, to })).sort((a, b) => a.from - b.from);
  const loops: Loop[] = [];
  for (const { from, to } of spans) {
    const outer = loops.findLast((loop) => loop.from < from && loop.to >= to);
    const within = spans.filter((span) => span.from > from && span.to <= to);
    const own = lines.slice(from, to + 1)
      .filter((_, i) => !within.some((span) => from + i >= span.from && from + i <= span.to));
    const loop: Loop = { own: countsOf(own), from, to, inner: [], outer, turns: turnsOf(own) };
    outer?.inner.push(loop);
    loops.push(loop);
  }
  return loops;
}

/** Turns of a loop that counts up from 0 by a constant to a constant, in the scalar unit. */
function turnsOf(lines: readonly string[]): number | undefined {
  const step = new RegExp(`^s_addk?_[iu]32 (s\\d+), (?:\\1, )?${NUMBER}$`);
  const steps = new Map(lines.flatMap((line) => {
    const [, register, by] = line.match(step) ?? [];
    return register === undefined ? [] : [[register, Number(by)] as const];
  }));
  for (const line of lines) {
    const [, register = "", bound] = line.match(new RegExp(`^s_cmp_(?:ge|lt|lg|eq)_[iu]32 (s\\d+), ${NUMBER}$`)) ?? [];
    const by = steps.get(register), to = Number(bound);
    if (by !== undefined && by > 0 && to > 0) return Math.ceil(to / by);
  }
  return undefined;
}

function countsOf(lines: readonly string[]): Counts {
  const counts: Record<keyof Counts, number> = { ...NONE };
  for (const part of lines.flatMap((line) => line.split(" :: "))) {
    const operation = part.trim().split(/\s/)[0]!;
    if (FMA.test(operation)) counts.fma++;
    const unit = unitOf(operation);
    if (unit) counts[unit]++;
  }
  return counts;
}

function unitOf(operation: string): keyof Counts | undefined {
  if (operation.startsWith("v_")) return "valu";
  if (operation.startsWith("ds_")) return "lds";
  if (/^(buffer|global|flat|scratch)_/.test(operation)) return "vmem";
  return operation.startsWith("s_") && !IDLE.test(operation) ? "salu" : undefined;
}
