import type { Program, Step } from "./recorder.ts";
import { bytesOf, type Role, type Tensor, TRANSIENT } from "./tensor.ts";

/** One GPU buffer to be made. */
export interface BufferPlan {
  readonly label: string;
  readonly role: Role;
  readonly bytes: number;
}

export interface Location {
  /** Index into `MemoryPlan.buffers`. */
  readonly buffer: number;
  /** Bytes from the buffer's start. */
  readonly offset: number;
}

/** Every byte of a run, decided before the first allocation. */
export interface MemoryPlan {
  readonly programs: readonly Program[];
  readonly buffers: readonly BufferPlan[];
  readonly location: ReadonlyMap<Tensor, Location>;
  /** Where each program's numbers start in the params buffer, one offset a step, in bytes. */
  readonly paramOffsets: ReadonlyMap<Step, number>;
  /** Index of the buffer of all `struct Params`, and of the one that outputs are copied to for the host. */
  readonly paramsBuffer: number;
  readonly stagingBuffer: number;
}

/** Label of the buffer that holds all input tensors. */
export const INPUTS = "inputs";

/** Offsets of uniform and storage bindings must be multiples of this on every adapter. */
const OFFSET_ALIGNMENT = 256;
const align = (bytes: number): number => Math.ceil(bytes / OFFSET_ALIGNMENT) * OFFSET_ALIGNMENT;

/**
 * Decides which tensors live in which buffers. A pure function of the recorded programs, which run one after another,
 * never at once: tensors of different programs share memory as tensors of different moments of one program do.
 */
export function planMemory(programs: readonly Program[]): MemoryPlan {
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
 * Gives transient tensors slots: whole buffers, shared by tensors of one role whose lives do not overlap. Lives are counted
 * inclusively, so two operands of one step never share, which is WebGPU's aliasing rule too. Largest first, each into the
 * first free slot (greedy by size: Pisarchyk & Lee, "Efficient memory management for deep neural net inference", 2020).
 */
function placeTransients(programs: readonly Program[], buffers: BufferPlan[], location: Map<Tensor, Location>): void {
  const slots = new Map<Role, { readonly buffer: number; readonly lives: Life[] }[]>();
  const bySize = livesOf(programs).sort((a, b) => bytesOf(b.tensor) - bytesOf(a.tensor) || a.first - b.first);
  for (const life of bySize) {
    const { role, label } = life.tensor;
    if (!slots.has(role)) slots.set(role, []);
    const ofRole = slots.get(role)!;
    let slot = ofRole.find(({ lives }) => lives.every((other) => other.last < life.first || life.last < other.first));
    if (!slot) {
      slot = { buffer: buffers.length, lives: [] };
      buffers.push({ label: `${role} slot (${label})`, role, bytes: bytesOf(life.tensor) });
      ofRole.push(slot);
    }
    slot.lives.push(life);
    location.set(life.tensor, { buffer: slot.buffer, offset: 0 });
  }
}

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
  for (const step of programs.flatMap(({ steps }) => steps)) {
    const key = Object.entries(step.kernel.params).map(([name, type]) => `${type}:${step.params[name]}`).join();
    let offset = offsets.get(key);
    if (offset === undefined) {
      offset = bytes - OFFSET_ALIGNMENT;
      offsets.set(key, offset);
      bytes += align(4 * Object.keys(step.kernel.params).length);
    }
    paramOffsets.set(step, offset);
  }
  return { paramOffsets, bytes };
}
