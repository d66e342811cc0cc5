// The programs of docs/examples run, in the order that their own words ask for, and say what they should.

import { assert, test } from "./harness.ts";
import { denoProgram } from "./process.deno.ts";

const folder = new URL("../docs/examples/", import.meta.url);
const SAYS: Readonly<Record<string, RegExp>> = {
  "from_scratch.ts": /step 30: loss \d\.\d+\nOnce/, // makes the model that others open
  "fine_tune.ts": /^loss \d\.\d+/,
  "qlora.ts": /^\d+ bytes of frozen weights/,
  "evaluate.ts": /base: loss .*\nadapted: loss /,
  "generate.ts": /^(Once[^]*){3}$/,
  "in_worker.ts": /step 5: loss \d\.\d+\n7 \+ 7 = /,
  "own_loop.ts": /step 40: loss [01]\.\d+/,
  "own_objective.ts": /^loss 0\.0\d+ over 16 tokens of 32/,
  "own_model.ts": /^loss 0\.0\d+/,
  "own_op.ts": /0, 0, 1, 2\.14/, // 1.1 to the eighth
  "optimizer_alone.ts": /minimum: 0\.\d+/,
};

test("every example but the Worker's script is run", () => {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name !== "worker.ts");
  assert(names.every((name) => name in SAYS), `not run: ${names.filter((name) => !(name in SAYS))}`);
});

const cwd = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(cwd, { recursive: true }));
for (const [name, says] of Object.entries(SAYS)) {
  test(`docs/examples/${name} runs`, async () => {
    const out = await denoProgram(cwd, new URL(name, folder).pathname);
    assert(says.test(out), `expected ${says}, got ${out}`);
  });
}
