/**
 * SHA-256 (FIPS 180-4) of bytes that come in pieces: crypto.subtle wants them all at once. Deno and Node have one in
 * native code; a page computes it here, eight times slower.
 */

/** A hash that takes its bytes piece by piece. */
export interface Sha256Stream {
  /** Takes the next bytes, any number of them. */
  update(bytes: Uint8Array): this;
  /** The hash of all bytes so far, as 64 hexadecimal digits. Nothing can be added afterwards. */
  hex(): string;
}

interface NodeCrypto {
  createHash(algorithm: "sha256"): { update(bytes: Uint8Array): unknown; digest(encoding: "hex"): string };
}
interface Runtime {
  readonly process?: { getBuiltinModule?(name: "node:crypto"): NodeCrypto | undefined };
}
/** The runtime's own hashes. Asked for by name at run time, so that no bundler looks for the module. */
const native = (globalThis as Runtime).process?.getBuiltinModule?.("node:crypto");

/** Begins a hash, in native code where the runtime has it. */
export function createSha256(): Sha256Stream {
  if (!native) return new Sha256();
  const hash = native.createHash("sha256");
  return {
    update(bytes) {
      hash.update(bytes);
      return this;
    },
    hex: () => hash.digest("hex"),
  };
}

/** The first 32 bits of the fractional parts of the `power`th roots of the first `count` primes. */
function rootsOfPrimes(count: number, power: 2 | 3): Int32Array<ArrayBuffer> {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  // The lowest 32 bits of floor(root of (prime * 2^(32 power))), in whole numbers: a double has too few bits for the
  // largest.
  return Int32Array.from(
    primes,
    (prime) => Number(BigInt.asIntN(32, integerRoot(BigInt(prime) << BigInt(32 * power), BigInt(power)))),
  );
}

/** The largest whole number whose `power`th power is not above `value`. */
function integerRoot(value: bigint, power: bigint): bigint {
  let root = 0n;
  for (let bit = 1n << 40n; bit > 0n; bit >>= 1n) if ((root + bit) ** power <= value) root += bit;
  return root;
}

const ROUND = rootsOfPrimes(64, 3);
const INITIAL = rootsOfPrimes(8, 2);

/** The hash in TypeScript, for pages. */
export class Sha256 implements Sha256Stream {
  readonly #state = INITIAL.slice();
  readonly #words = new Int32Array(64);
  /** Bytes that do not fill a block yet. */
  readonly #rest = new Uint8Array(64);
  #bytes = 0;

  /** Takes the next bytes, any number of them. */
  update(bytes: Uint8Array): this {
    const filled = this.#bytes % 64;
    this.#bytes += bytes.length;
    let at = 0;
    if (filled > 0) {
      at = Math.min(64 - filled, bytes.length);
      this.#rest.set(bytes.subarray(0, at), filled);
      if (filled + at < 64) return this;
      this.#blocks(this.#rest, 0, 64);
    }
    const end = at + Math.floor((bytes.length - at) / 64) * 64;
    this.#blocks(bytes, at, end);
    this.#rest.set(bytes.subarray(end));
    return this;
  }

  /** The hash of all bytes so far, 64 hexadecimal digits. More may follow. */
  hex(): string {
    const filled = this.#bytes % 64, tail = new Uint8Array(filled < 56 ? 64 : 128);
    tail.set(this.#rest.subarray(0, filled));
    tail[filled] = 0x80;
    new DataView(tail.buffer).setBigUint64(tail.length - 8, BigInt(this.#bytes) * 8n);
    const before = this.#state.slice();
    this.#blocks(tail, 0, tail.length);
    const hex = [...this.#state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
    this.#state.set(before);
    return hex;
  }

  /** Takes whole blocks of 64 bytes. */
  #blocks(bytes: Uint8Array, start: number, end: number): void {
    const state = this.#state, w = this.#words, view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let s0 = state[0]!,
      s1 = state[1]!,
      s2 = state[2]!,
      s3 = state[3]!,
      s4 = state[4]!,
      s5 = state[5]!,
      s6 = state[6]!,
      s7 = state[7]!;
    for (let at = start; at < end; at += 64) {
      for (let i = 0; i < 16; i++) w[i] = view.getInt32(at + 4 * i);
      for (let i = 16; i < 64; i++) {
        const x = w[i - 15]!, y = w[i - 2]!;
        const sx = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3),
          sy = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
        w[i] = (w[i - 16]! + sx + w[i - 7]! + sy) | 0;
      }
      let a = s0, b = s1, c = s2, d = s3, e = s4, f = s5, g = s6, h = s7;
      for (let i = 0; i < 64; i++) {
        const sum = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
        const t = (h + sum + (g ^ (e & (f ^ g))) + ROUND[i]! + w[i]!) | 0;
        const u = (((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))) +
          ((a & b) | (c & (a | b)));
        h = g, g = f, f = e, e = (d + t) | 0, d = c, c = b, b = a, a = (t + u) | 0;
      }
      s0 = (s0 + a) | 0,
        s1 = (s1 + b) | 0,
        s2 = (s2 + c) | 0,
        s3 = (s3 + d) | 0,
        s4 = (s4 + e) | 0,
        s5 = (s5 + f) | 0,
        s6 = (s6 + g) | 0,
        s7 = (s7 + h) | 0;
    }
    state.set([s0, s1, s2, s3, s4, s5, s6, s7]);
  }
}
