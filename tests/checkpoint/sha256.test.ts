import { createSha256, Sha256 } from "../../src/checkpoint/sha256.ts";
import { assertEquals, random, runtime, test } from "../harness.ts";

const hash = (text: string): string => new Sha256().update(new TextEncoder().encode(text)).hex();
const subtle = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
const uniform = random(3);
const noise = (length: number): Uint8Array<ArrayBuffer> => Uint8Array.from({ length }, () => 256 * uniform());

test("SHA-256 gives the answers of FIPS 180-4", () => {
  assertEquals(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assertEquals(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assertEquals(
    hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
  );
  assertEquals(hash("a".repeat(1_000_000)), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
});

test("SHA-256 agrees with crypto.subtle at every length to 200, in one piece, in two and by bytes", async () => {
  for (let length = 0; length <= 200; length++) {
    const bytes = noise(length),
      expected = await subtle(bytes),
      cut = Math.floor(uniform() * (length + 1)),
      single = new Sha256();
    for (const byte of bytes) single.update(Uint8Array.of(byte));
    assertEquals(
      [
        new Sha256().update(bytes).hex(),
        new Sha256().update(bytes.subarray(0, cut)).update(bytes.subarray(cut)).hex(),
        single.hex(),
      ],
      [expected, expected, expected],
      `${length} bytes`,
    );
  }
});

test("SHA-256 agrees with crypto.subtle on a MiB in odd pieces, and goes on after an answer", async () => {
  const bytes = noise(1 << 20), sha = new Sha256();
  for (let at = 0, size = 0; at < bytes.length; at += size) {
    size = Math.min(bytes.length - at, Math.floor(uniform() * 5_000));
    sha.update(bytes.subarray(at, at + size));
    if (size % 16 === 0) assertEquals(sha.hex(), await subtle(bytes.slice(0, at + size)), `after ${at + size} bytes`);
  }
  assertEquals(sha.hex(), await subtle(bytes));
});

test("the hash of the runtime is that of the page's own code", () => {
  const bytes = noise(100_003), native = createSha256(), own = new Sha256();
  for (let at = 0; at < bytes.length; at += 4_099) {
    for (const hash of [native, own]) hash.update(bytes.subarray(at, at + 4_099));
  }
  assertEquals(native.hex(), own.hex());
  assertEquals(native instanceof Sha256, runtime === "browser", "which of the two it is");
});
