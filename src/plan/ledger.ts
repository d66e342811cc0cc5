import type { BufferPlan, MemoryPlan } from "./memory.ts";
import { type Role, ROLES } from "./tensor.ts";

/** Bytes of each role. */
export type BytesByRole = Readonly<Record<Role, number>>;

/** The buffers of one role, summed. */
export interface LedgerRow {
  /** The role of its buffers. */
  readonly role: Role;
  /** Bytes of all its buffers. */
  readonly bytes: number;
  /** Number of its buffers. */
  readonly buffers: number;
  /** The largest of them. */
  readonly largest: { readonly label: string; readonly bytes: number };
}

/** Planned bytes by role. */
export function bytesByRole(buffers: readonly BufferPlan[]): BytesByRole {
  const bytes = Object.fromEntries(ROLES.map((role) => [role, 0])) as Record<Role, number>;
  for (const buffer of buffers) bytes[buffer.role] += buffer.bytes;
  return bytes;
}

/** Sums the bytes of all roles. */
export const totalBytes = (bytes: BytesByRole): number => ROLES.reduce((sum, role) => sum + bytes[role], 0);

/** The plan as rows, one for each role that costs anything. */
export function ledger({ buffers }: MemoryPlan): LedgerRow[] {
  return ROLES.flatMap((role) => {
    const ofRole = buffers.filter((buffer) => buffer.role === role && buffer.bytes > 0);
    if (ofRole.length === 0) return [];
    const { label, bytes } = ofRole.reduce((a, b) => (b.bytes > a.bytes ? b : a));
    return [{
      role,
      bytes: ofRole.reduce((sum, b) => sum + b.bytes, 0),
      buffers: ofRole.length,
      largest: { label, bytes },
    }];
  });
}

/** Formats a size for people: 1536 -> "1.5 KiB". */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes, unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** The ledger as a table for people. */
export function formatLedger(plan: MemoryPlan): string {
  const rows = ledger(plan);
  const total = rows.reduce((sum, { bytes }) => sum + bytes, 0);
  const line = (cells: readonly string[]): string =>
    `${cells[0]!.padEnd(12)}${cells[1]!.padStart(11)}${cells[2]!.padStart(7)}${cells[3]!.padStart(9)}   ${cells[4]}`;
  return [
    line(["role", "bytes", "%", "buffers", "largest buffer"]),
    ...rows.map(({ role, bytes, buffers, largest }) =>
      line([
        role,
        formatBytes(bytes),
        ((100 * bytes) / total).toFixed(1),
        String(buffers),
        `${formatBytes(largest.bytes)}  ${largest.label}`,
      ])
    ),
    line(["total", formatBytes(total), "", "", ""]),
  ].map((text) => text.trimEnd()).join("\n");
}

/**
 * Refuses a plan that the adapter cannot hold, before anything is allocated.
 * @param available bytes that may be used in all; Infinity if unknown.
 * @throws RangeError naming what is too large, the limit and the three largest roles.
 */
export function checkFits(
  plan: MemoryPlan,
  limits: { readonly maxBufferSize: number; readonly maxStorageBufferBindingSize: number },
  available = Infinity,
): void {
  const limit = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
  const tooLarge = plan.buffers.find(({ bytes }) => bytes > limit);
  const total = plan.buffers.reduce((sum, { bytes }) => sum + bytes, 0);
  if (!tooLarge && total <= available) return;
  const rows = ledger(plan).sort((a, b) => b.bytes - a.bytes).slice(0, 3).map(({ role, bytes }) =>
    `${role} ${formatBytes(bytes)}`
  );
  const problem = tooLarge
    ? `"${tooLarge.label}" needs ${formatBytes(tooLarge.bytes)} in one buffer, the adapter allows ${formatBytes(limit)}`
    : `it needs ${formatBytes(total)}, ${formatBytes(available)} are free`;
  throw new RangeError(`Cannot fit the plan: ${problem}. Largest: ${rows.join(", ")}`);
}
