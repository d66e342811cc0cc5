import { assert, assertClose, assertEquals, test } from "../harness.ts";
import { dynamicMap } from "../../src/optim/rule/dynamic_map.ts";

test("dynamicMap(): 256 different values in order, with 0 and 1, and -0.99 but not -1", () => {
  for (const signed of [true, false]) {
    const map = dynamicMap(signed);
    assertEquals(map.length, 256);
    assert(map.every((x, i) => i === 0 || x > map[i - 1]!), `signed ${signed}: ascending`);
    assertEquals([map[signed ? 127 : 0], map[255]], [0, 1], "0 and 1");
  }
  const map = dynamicMap(true);
  assertClose(map.slice(0, 127), map.slice(128, 255).toReversed().map((x) => -x), {
    name: "as many below 0 as above, 1 apart",
  });
});

test("dynamicMap(): the published values at the ends of its range, f32", () => {
  const signed = dynamicMap(true), unsigned = dynamicMap(false);
  // Midpoints of [0.1, 1] in 64 and 128 parts at the top; in 1 and 2 parts, times 10^-6, at the bottom; then 2 and 4
  // parts times 10^-5.
  assertClose(signed.slice(128, 131), [5.5e-7, 3.25e-6, 7.75e-6], { name: "signed, above 0", relative: 6e-8 });
  assertClose(signed.slice(252, 256), [0.96484375, 0.97890625, 0.99296875, 1], {
    name: "signed, below 1",
    relative: 6e-8,
  });
  assertClose(unsigned.slice(1, 5), [3.25e-7, 7.75e-7, 2.125e-6, 4.375e-6], {
    name: "unsigned, above 0",
    relative: 6e-8,
  });
  assertClose(unsigned.slice(253, 256), [0.989453125, 0.996484375, 1], { name: "unsigned, below 1", relative: 6e-8 });
});

test("dynamicMap(): numbers above a tenth of the largest keep a relative precision of 6.2 %, unsigned 3.3 %", () => {
  for (const [signed, bound] of [[true, 0.062], [false, 0.033]] as const) {
    const map = dynamicMap(signed);
    let worst = 0;
    for (let x = 0.1; x <= 1; x += 1e-4) {
      worst = Math.max(
        worst,
        map.reduce((least, value) => Math.min(least, Math.abs(value - x)), 1) / x,
      );
    }
    assert(worst < bound && worst > bound / 2, `signed ${signed}: ${worst}`);
  }
});
