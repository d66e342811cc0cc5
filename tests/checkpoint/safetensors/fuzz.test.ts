import { assert, assertEquals, random, runtime, test } from "../../harness.ts";
import { describeFile, openOrMessage } from "./files.ts";
import { makeMutant } from "./mutations.ts";
import { parseAgain } from "./second_parser.ts";

// 100 000 files in Deno, a tenth of them in Chromium, where the same code runs.
const SEEDS = 10, FILES = runtime === "deno" ? 10_000 : 1_000;

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`${FILES} broken and whole files are refused or read as a second parser has it (seed ${seed})`, async () => {
    const uniform = random(seed);
    let accepted = 0;
    for (let i = 0; i < FILES; i++) {
      const file = makeMutant(uniform), expected = parseAgain(file), result = await openOrMessage(file);
      const text = () => `file ${i}, ${JSON.stringify(new TextDecoder().decode(file))}`;
      if (typeof result === "string") {
        assert(expected === null, `the second parser accepts what was refused with "${result}": ${text()}`);
      } else {
        assert(expected !== null, `the second parser refuses what was accepted: ${text()}`);
        assertEquals(byName(describeFile(result)), byName(expected), text());
        accepted++;
      }
    }
    // Neither all good nor all bad: then the comparison would say little.
    assert(accepted > 0.2 * FILES && accepted < 0.8 * FILES, `${accepted} of ${FILES} files were accepted`);
  });
}

/** Two empty tensors in one place have no order. */
const byName = ({ tensors, metadata }: ReturnType<typeof describeFile>) => ({
  tensors: tensors.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  metadata: metadata.toSorted(([a], [b]) => (a < b ? -1 : 1)),
});
