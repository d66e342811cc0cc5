import type { Program, Step } from "./recorder.ts";
import { bytesOf, type ElementType, type Role, type Tensor, TRANSIENT } from "./tensor.ts";

/** One GPU buffer to be made. */
export interface BufferPlan {
  /** The buffer's name, for messages and tools. */
  readonly label: string;
  /** Its purpose. */
  readonly role: Role;
  /** Its size in bytes. */
  readonly bytes: number;
}

/** The place of a tensor. */
export interface Location {
  /** Index into `MemoryPlan.buffers`. */
  readonly buffer: number;
  /** Bytes from the buffer's start. */
  readonly offset: number;
}

/** Every byte of a run, decided before the first allocation. */
export interface MemoryPlan {
  /** The programs that share the memory. */
  readonly programs: readonly Program[];
  /** All buffers, in the order in which they are made. */
  readonly buffers: readonly BufferPlan[];
  /** The place of each tensor. */
  readonly location: ReadonlyMap<Tensor, Location>;
  /** Offset of each step's numbers in the params buffer, in bytes. */
  readonly paramOffsets: ReadonlyMap<Step, number>;
  /** Index of the buffer of all `struct Params`, and of the one that outputs are copied to for the host. */
  readonly paramsBuffer: number;
  /** Bytes of the buffer through which values are read back. */
  readonly stagingBuffer: number;
}

/** Label of the buffer that holds all input tensors. */
export const INPUTS = "inputs";

/** Offsets of uniform and storage bindings must be multiples of this on every adapter. */
const OFFSET_ALIGNMENT = 256;
/** Types that kernels write. Other formats are packed by the host. */
const WRITTEN_TYPES: ReadonlySet<ElementType> = new Set<ElementType>(["f32", "u32", "bf16"]);
const align = (bytes: number): number => Math.ceil(bytes / OFFSET_ALIGNMENT) * OFFSET_ALIGNMENT;

/**
 * Decides which tensors live in which buffers. A pure function of the recorded programs, which run one after another,
 * never at once: tensors of different programs share memory as tensors of different moments of one program do.
 * @throws Error if a kernel may write a frozen tensor, or one in a format that no kernel writes.
 */
export function planMemory(programs: readonly Program[]): MemoryPlan {
  for (const step of programs.flatMap(({ steps }) => steps)) checkWrites(step);
  const buffers: BufferPlan[] = [];
  const location = new Map<Tensor, Location>();
  const inputs: Tensor[] = [];
  let largestOutput = 4;
  for (const tensor of allTensors(programs)) {
    if (TRANSIENT.has(tensor.role)) continue;
    if (tensor.role === "input") {
      inputs.push(tensor);
      continue;
    }
    if (tensor.role === "output") largestOutput = Math.max(largestOutput, bytesOf(tensor));
    location.set(tensor, { buffer: buffers.length, offset: 0 });
    buffers.push({ label: tensor.label, role: tensor.role, bytes: bytesOf(tensor) });
  }
  placeInputs(inputs, buffers, location);
  placeTransients(programs, buffers, location);
  const { paramOffsets, bytes } = placeParams(programs);
  const paramsBuffer = buffers.push({ label: "params", role: "input", bytes }) - 1;
  const stagingBuffer = buffers.push({ label: "staging", role: "output", bytes: largestOutput }) - 1;
  return { programs, buffers, location, paramOffsets, paramsBuffer, stagingBuffer };
}

export function allTensors(programs: readonly Program[]): Set<Tensor> {
  return new Set(programs.flatMap(({ steps }) => steps.flatMap(({ tensors }) => tensors)));
}

/**
 * Refuses writes to frozen weights, which must not change by a bit, and to formats that no kernel writes: it would fill
 * their words with f32.
 */
function checkWrites({ kernel, tensors }: Step): void {
  const access = Object.values(kernel.bindings);
  for (const [i, { label, role, type }] of tensors.entries()) {
    if (access[i] !== "read_write" || (role !== "frozen" && WRITTEN_TYPES.has(type))) continue;
    const problem = role === "frozen"
      ? "is frozen"
      : `is stored as ${type}, expected one of [${[...WRITTEN_TYPES].join(", ")}]`;
    throw new Error(`Cannot plan kernel "${kernel.name}": it writes ${label}, which ${problem}. Bind it as "read"`);
  }
}

/** Inputs are only ever read by kernels, so they may sit in one buffer, which the host fills with one write. */
function placeInputs(inputs: readonly Tensor[], buffers: BufferPlan[], location: Map<Tensor, Location>): void {
  let bytes = 0;
  for (const tensor of inputs) {
    location.set(tensor, { buffer: buffers.length, offset: bytes });
    bytes = align(bytes + bytesOf(tensor));
  }
  if (bytes > 0) buffers.push({ label: INPUTS, role: "input", bytes });
}

interface Life {
  readonly tensor: Tensor;
  readonly first: number;
  last: number;
}

/**
 * Gives transient tensors slots: whole buffers, shared by tensors of one role whose lives do not overlap. Lives are
 * counted inclusively, so two operands of one step never share, which is WebGPU's aliasing rule too. Largest first,
 * each into the first free slot (greedy by size: Pisarchyk & Lee, "Efficient memory management for deep neural net
 * inference", 2020).
 */
function placeTransients(programs: readonly Program[], buffers: BufferPlan[], location: Map<Tensor, Location>): void {
  const slots = new Map<Role, { readonly buffer: number; readonly lives: Life[] }[]>();
  const bySize = livesOf(programs).sort((a, b) => bytesOf(b.tensor) - bytesOf(a.tensor) || a.first - b.first);
  for (const life of bySize) {
    const { role, label } = life.tensor;
    if (!slots.has(role)) slots.set(role, []);
    const ofRole = slots.get(role)!;
    let slot = ofRole.find(({ lives }) => isFree(lives, life));
    if (!slot) {
      slot = { buffer: buffers.length, lives: [] };
      buffers.push({ label: `${role} slot (${label})`, role, bytes: bytesOf(life.tensor) });
      ofRole.push(slot);
    }
    slot.lives.splice(placeAfter(slot.lives, life.last), 0, life);
    location.set(life.tensor, { buffer: slot.buffer, offset: 0 });
  }
}

/** Number of lives of a slot that begin at `last` or before: they do not overlap, and are kept in order. */
function placeAfter(lives: readonly Life[], last: number): number {
  let low = 0, high = lives.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lives[middle]!.first <= last) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** True if no life of a slot overlaps. Among those that begin before this one ends, only the last can. */
const isFree = (lives: readonly Life[], { first, last }: Life): boolean =>
  (lives[placeAfter(lives, last) - 1]?.last ?? -1) < first;

function livesOf(programs: readonly Program[]): Life[] {
  const lives = new Map<Tensor, Life>();
  programs.flatMap(({ steps }) => steps).forEach(({ tensors }, index) => {
    for (const tensor of tensors) {
      if (!TRANSIENT.has(tensor.role)) continue;
      const life = lives.get(tensor);
      if (life) life.last = index;
      else lives.set(tensor, { tensor, first: index, last: index });
    }
  });
  return [...lives.values()];
}

/** Equal parameter blocks are stored once: the layers of a model launch the same kernels with the same numbers. */
function placeParams(programs: readonly Program[]): { paramOffsets: Map<Step, number>; bytes: number } {
  const paramOffsets = new Map<Step, number>(), offsets = new Map<string, number>();
  let bytes = OFFSET_ALIGNMENT;
  // BAdam has as many programs as layers, so the facts of a kernel are looked up once and not for each of its steps.
  const fields = new Map<Step["kernel"], { readonly names: readonly string[]; readonly types: string }>();
  for (const { steps } of programs) {
    for (const step of steps) {
      const { kernel, params } = step;
      if (!fields.has(kernel)) {
        fields.set(kernel, { names: Object.keys(kernel.params), types: Object.values(kernel.params).join() });
      }
      const { names, types } = fields.get(kernel)!;
      let key = types;
      for (const name of names) key += `:${params[name]}`;
      let offset = offsets.get(key);
      if (offset === undefined) {
        offset = bytes - OFFSET_ALIGNMENT;
        offsets.set(key, offset);
        bytes += align(4 * names.length);
      }
      paramOffsets.set(step, offset);
    }
  }
  return { paramOffsets, bytes };
}
