// What Mesa's RADV prints about the kernels that it compiles (RADV_DEBUG=shaders,shaderstats).

import { type Counts, mainTurn } from "./machine_code.ts";

/** A kernel in machine code. */
export interface Compiled {
  /** Threads of a workgroup. */
  readonly threads: number;
  /** Vector registers of a thread. */
  readonly registers: number;
  /** Bytes of workgroup memory. */
  readonly workgroupBytes: number;
  /** Registers, vector and scalar, that did not fit and were put elsewhere. */
  readonly spills: number;
  /** Bytes of memory a wave for spills and indexed private arrays. */
  readonly scratchBytes: number;
  /** The most waves that a SIMD unit can hold at once. */
  readonly waves: number;
  readonly codeBytes: number;
  /** One turn of the main loop, or all of a kernel without loops. */
  readonly turn: Counts;
  readonly assembly: string;
}

/** A kernel's number and what became of it: machine code, or a message. */
export interface Outcome {
  readonly index: number;
  readonly result: Compiled | string;
}

/** The kernels that are complete in the output of compile.deno.ts. */
export function parsePrinted(text: string): Outcome[] {
  const parts = text.matchAll(/^@@kernel (\d+) *\n(.*?)^@@end \1 (.*?)$/gms);
  return [...parts].map(([, index, printed, message]) => ({
    index: Number(index),
    result: message!.trim() || compiledOf(printed!),
  }));
}

function compiledOf(printed: string): Compiled | string {
  const [before = "", stats] = printed.split("*** SHADER STATS ***");
  if (stats === undefined) return "the driver printed nothing";
  const stat = (name: string): number => {
    const [, value] = stats.match(new RegExp(`^${name}: (\\d+)$`, "m")) ?? [];
    if (value === undefined) {
      throw new Error(`Cannot find "${name}" in what RADV printed: another version than 22 to 25?`);
    }
    return Number(value);
  };
  const [, size = ""] = before.match(/^workgroup[-_]size: ([\d, ]+)/m) ?? [];
  const assembly = (before.split(/^disasm:$/m)[1] ?? "").trim().split(/^\s*$/m)[0]!;
  return {
    threads: size.split(",").map(Number).reduce((a, b) => a * b),
    registers: stat("VGPRs"),
    workgroupBytes: stat("LDS size"),
    spills: stat("Spilled VGPRs") + stat("Spilled SGPRs"),
    scratchBytes: stat("Scratch size"),
    waves: stat("Subgroups per SIMD"),
    codeBytes: stat("Code size"),
    turn: mainTurn(assembly),
    assembly,
  };
}
