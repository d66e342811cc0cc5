import { ALIASES, CONFIG_KEYS, parseConfig } from "../../../src/recipe/config/config.ts";
import { DEFAULT_SPEC } from "../../../src/optim/optimizer_spec.ts";
import { OPTIMIZERS } from "../../../src/optim/presets.ts";
import { ALIASES as OPTIM_ARGS_ALIASES, optimArgs } from "../../../src/recipe/config/optim_args.ts";
import { assert, assertEquals, test } from "../../harness.ts";

const page = (name: string): string => Deno.readTextFileSync(new URL(`../../../docs/${name}`, import.meta.url));

/** The rows of all tables: cells of `| setting | type | default | meaning | aliases |`. */
const rows = page("configuration.md").split("\n").filter((line) => line.startsWith("| `")).map((line) =>
  line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim())
);
const code = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text!);

test("docs/configuration.md has one row for each setting", () => {
  const documented = rows.map(([name]) => code(name!)[0]!).filter((name) => !name.includes("."));
  assertEquals(documented.sort(), [...CONFIG_KEYS].sort());
});

test("docs/configuration.md gives the defaults that a config has", () => {
  const config: Readonly<Record<string, unknown>> = { ...parseConfig({}) };
  for (const [name, , fallback] of rows) {
    const [top, inner] = code(name!)[0]!.split(".");
    const value = inner === undefined ? config[top!] : (config[top!] as Record<string, unknown>)[inner];
    // An object's own row refers to the rows of its settings.
    if (typeof value === "object" && value !== null) continue;
    assertEquals(fallback, `\`${JSON.stringify(value)}\``, name!);
  }
});

test("docs/configuration.md names every alias beside its setting", () => {
  const documented = rows.flatMap(([name, , , , aliases]) =>
    code(aliases!).map((alias) => [alias, code(name!)[0]!] as const)
  );
  assertEquals(Object.fromEntries(documented), { ...ALIASES });
});

/** The rows of the table of optim_args: `| part | key | type | default | meaning | aliases |`. */
const argumentRows = page("configuration.md").split("\n").map((line) =>
  line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim())
).filter((cells) => cells.length === 6 && /^`\w+`$/.test(cells[1]!));

test(
  "docs/configuration.md has one row for each key of optim_args, with the default of a grid and " +
    "every other name",
  () => {
    assertEquals(argumentRows.map(([, key]) => code(key!)[0]!).sort(), Object.keys(optimArgs.entries).sort());
    const spec: Readonly<Record<string, unknown>> = { ...DEFAULT_SPEC, state_free_modules: [] };
    for (const [, key, , fallback] of argumentRows) {
      assertEquals(fallback, `\`${JSON.stringify(spec[code(key!)[0]!])}\``, key!);
    }
    const documented = argumentRows.flatMap(([, key, , , , aliases]) =>
      code(aliases!).map((alias) => [alias, code(key!)[0]!] as const)
    );
    assertEquals(Object.fromEntries(documented), { ...OPTIM_ARGS_ALIASES, reset_statistics: "switch_moments" });
  },
);

test("docs/optimizers.md and its pages tell of every optimizer", () => {
  const overview = page("optimizers.md"),
    pages = [...Deno.readDirSync(new URL("../../../docs/optimizers", import.meta.url))].map(({ name }) =>
      page(`optimizers/${name}`)
    );
  for (const optim of OPTIMIZERS) {
    assert(overview.includes(`\`${optim}\``), `docs/optimizers.md does not name ${optim}`);
    assert(
      pages.some((text) => text.includes(`\`${optim}\``) || text.includes(`--optim ${optim} `)),
      `no page tells of ${optim}`,
    );
  }
});

test("docs/command-line.md names every command", () => {
  for (const command of ["train", "plan", "compare", "eval", "generate", "devices"]) {
    assert(page("command-line.md").includes(`\n## \`${command}\``), command);
  }
});
