import { ALIASES, CONFIG_KEYS, parseConfig } from "../../src/train/config.ts";
import { assert, assertEquals, test } from "../harness.ts";

const page = (name: string): string => Deno.readTextFileSync(new URL(`../../docs/${name}`, import.meta.url));

/** The rows of all tables: cells of `| setting | type | default | meaning | aliases |`. */
const rows = page("configuration.md").split("\n").filter((line) => line.startsWith("| `")).map((line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()));
const code = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text!);

test("docs/configuration.md has one row for each setting", () => {
  const documented = rows.map(([name]) => code(name!)[0]!).filter((name) => !name.includes("."));
  assertEquals(documented.sort(), [...CONFIG_KEYS].sort());
});

test("docs/configuration.md gives the defaults that a config has", () => {
  const config = parseConfig({}) as Readonly<Record<string, unknown>>;
  for (const [name, , fallback] of rows) {
    const [top, inner] = code(name!)[0]!.split(".");
    const value = inner === undefined ? config[top!] : (config[top!] as Record<string, unknown>)[inner];
    // An object's own row refers to the rows of its settings.
    if (typeof value === "object" && value !== null) continue;
    assertEquals(fallback, `\`${JSON.stringify(value)}\``, name!);
  }
});

test("docs/configuration.md names every alias beside its setting", () => {
  const documented = rows.flatMap(([name, , , , aliases]) => code(aliases!).map((alias) => [alias, code(name!)[0]!] as const));
  assertEquals(Object.fromEntries(documented), { ...ALIASES });
});

test("docs/command-line.md names every command", () => {
  for (const command of ["train", "plan", "eval", "generate", "devices"]) assert(page("command-line.md").includes(`\n## \`${command}\``), command);
});
