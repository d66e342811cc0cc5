import { assertEquals, assertThrows, test } from "../harness.ts";
import { bytesByRole, checkFits, formatBytes, formatLedger, ledger, totalBytes } from "../../src/plan/ledger.ts";
import { planMemory } from "../../src/plan/memory.ts";
import { floats, program, step } from "./steps.ts";

const plan = planMemory([program([
  step("1", [floats("ids", 10, "input"), floats("base", 3000, "frozen")], [floats("x", 256)], { n: 1 }),
  step("2", [floats("w", 512, "trainable")], [
    floats("m", 512, "state"),
    floats("v", 300, "state"),
    floats("y", 1, "output"),
  ]),
])]);

test("the ledger has a row for each role that costs something", () => {
  assertEquals(ledger(plan).map(({ role, bytes, buffers, largest }) => [role, bytes, buffers, largest.label]), [
    ["frozen", 12000, 1, "base"],
    ["trainable", 2048, 1, "w"],
    ["state", 3248, 2, "m"],
    ["activation", 1024, 1, "activation slot (x)"],
    ["input", 256 + 512, 2, "params"],
    ["output", 8, 2, "y"],
  ]);
  assertEquals(totalBytes(bytesByRole(plan.buffers)), plan.buffers.reduce((sum, { bytes }) => sum + bytes, 0));
});

test("formatLedger() aligns its columns, says shares and the total", () => {
  assertEquals(formatLedger(plan).split("\n"), [
    "role              bytes      %  buffers   largest buffer",
    "frozen         11.7 KiB   62.8        1   11.7 KiB  base",
    "trainable       2.0 KiB   10.7        1   2.0 KiB  w",
    "state           3.2 KiB   17.0        2   2.0 KiB  m",
    "activation      1.0 KiB    5.4        1   1.0 KiB  activation slot (x)",
    "input             768 B    4.0        2   512 B  params",
    "output              8 B    0.0        2   4 B  y",
    "total          18.6 KiB",
  ]);
});

test("formatBytes()", () => {
  assertEquals([0, 1, 1023, 1024, 1536, 102400, 2 ** 20, 5 * 2 ** 30, 2 ** 40, 2 ** 51].map(formatBytes), [
    "0 B",
    "1 B",
    "1023 B",
    "1.0 KiB",
    "1.5 KiB",
    "100 KiB",
    "1.0 MiB",
    "5.0 GiB",
    "1.0 TiB",
    "2048 TiB",
  ]);
});

test("checkFits() names the buffer, the limit and the largest roles", () => {
  const limits = { maxBufferSize: 2 ** 30, maxStorageBufferBindingSize: 12000 };
  checkFits(plan, limits);
  checkFits(plan, limits, 19096);
  const small = assertThrows(
    () => checkFits(plan, { ...limits, maxStorageBufferBindingSize: 11999 }),
    "Cannot fit the plan",
  );
  assertEquals(
    small.message,
    'Cannot fit the plan: "base" needs 11.7 KiB in one buffer, the adapter allows 11.7 KiB. Largest: frozen ' +
      "11.7 KiB, state 3.2 KiB, trainable 2.0 KiB",
  );
  assertEquals(small.constructor, RangeError);
  assertThrows(
    () => checkFits(plan, { ...limits, maxBufferSize: 4096 }),
    '"base" needs 11.7 KiB in one buffer, the adapter allows 4.0 KiB',
  );
  assertThrows(
    () => checkFits(plan, limits, 19095),
    "Cannot fit the plan: it needs 18.6 KiB, 18.6 KiB are free. Largest: frozen 11.7 KiB",
  );
});
