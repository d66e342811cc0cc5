// The arrows between the folders point one way, no shader is dead, and no file outgrows a reader.

import { existsSync } from "node:fs";
import { assert, assertEquals, test } from "./harness.ts";

/** A folder of src imports from itself and from those before it. */
const LAYERS = [
  "random",
  "tokenizer",
  "data",
  "gpu",
  "plan",
  "ops",
  "optim",
  "models",
  "checkpoint",
  "train",
  "report",
  "recipe",
  "api",
  "exports",
  "cli",
];
const LINE_LIMIT = 300, COLUMN_LIMIT = 120;

/** The text of each file, by its path in the repository. */
type Files = ReadonlyMap<string, string>;

function readFiles(...folders: string[]): Files {
  const files = new Map<string, string>();
  const visit = (folder: string): void => {
    for (const { name, isDirectory } of Deno.readDirSync(new URL(`../${folder}`, import.meta.url))) {
      const path = `${folder}/${name}`;
      if (isDirectory) visit(path);
      else if (/\.(ts|mjs|wgsl|html|css)$/.test(name)) {
        files.set(path, Deno.readTextFileSync(new URL(`../${path}`, import.meta.url)));
      }
    }
  };
  for (const folder of folders) {
    try {
      visit(folder);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return files;
}

const IMPORTS = [
  /^\s*(?:import|export)\b[^;]*?\bfrom\s*"([^"]+)"/gm,
  /^\s*import\s*"([^"]+)"/gm,
  /\bimport\(\s*"([^"]+)"/g,
  /\bnew URL\(\s*"(\.[^"]+\.(?:ts|mjs|wgsl))",\s*import\.meta\.url/g,
  /<script\b[^>]*\bsrc="([^"]+)"/g,
];

/** The repository paths that a file imports; packages left out. */
function importsOf(path: string, text: string): string[] {
  if (path.endsWith(".wgsl")) return [];
  const code = text.split("\n").filter((line) => !/^\s*(\/\/|\/?\*)/.test(line)).join("\n");
  const names = IMPORTS.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1]!));
  const base = new URL(path, "file:///");
  return names.filter((name) => name.startsWith(".")).map((name) => new URL(name, base).pathname.slice(1));
}

/** "file imports file: why not", for each import that points the wrong way. */
function wrongImports(files: Files): string[] {
  return [...files].flatMap(([path, text]) =>
    importsOf(path, text).flatMap((target) => {
      const why = whyNot(path, target);
      return why ? [`${path} imports ${target}: ${why}`] : [];
    })
  );
}

/** A file that the package exports: an entry point. */
const isPublic = (path: string): boolean => /^src\/(index|exports\/\w+)\.ts$/.test(path);

function whyNot(path: string, target: string): string {
  const [from, layer = ""] = path.split("/"), [to, targetLayer = ""] = target.split("/");
  if (from === "demo") return isPublic(target) || to === "demo" ? "" : "demo imports only what the package exports";
  if (to === "shaders") return "";
  if (to !== "src") return "src imports only src and shaders";
  if (path === "src/index.ts") return targetLayer === "cli" ? "src/index.ts is for pages too, cli is for Deno" : "";
  if (!LAYERS.includes(targetLayer)) return `expected a file below src/{${LAYERS.join(",")}}`;
  return LAYERS.indexOf(targetLayer) <= LAYERS.indexOf(layer) ? "" : `${layer} comes before ${targetLayer}`;
}

/** Folders of src that the order above does not know, so that no import of theirs goes unchecked. */
function unknownFolders(files: Files): string[] {
  const folders = [...files.keys()].map((path) => path.split("/")).filter((parts) =>
    parts[0] === "src" && parts.length > 2
  );
  return [...new Set(folders.map((parts) => parts[1]!))].filter((folder) => !LAYERS.includes(folder));
}

/** Kernels belong to one folder each; shaders/lib is for all, yet somebody must use each file of it. */
function wrongShaders(files: Files): string[] {
  const users = new Map<string, Set<string>>();
  for (const [path, text] of files) {
    for (const target of importsOf(path, text)) {
      if (!target.endsWith(".wgsl")) continue;
      users.set(target, (users.get(target) ?? new Set()).add(path.split("/").slice(0, 2).join("/")));
    }
  }
  const absent = [...users].filter(([shader]) => !files.has(shader)).map(([shader, by]) =>
    `${shader}: no such file, used by ${[...by]}`
  );
  const shaders = [...files.keys()].filter((path) => path.endsWith(".wgsl"));
  const wrong = shaders.flatMap((shader) => {
    const by = [...users.get(shader) ?? []];
    if (by.length === 0) return [`${shader}: used by no file of src`];
    return by.length > 1 && !shader.startsWith("shaders/lib/")
      ? [`${shader}: used by ${by.join(" and ")}, expected one folder`]
      : [];
  });
  return [...absent, ...wrong];
}

function tooLong(files: Files): string[] {
  const lines = (text: string) => text.replace(/\n$/, "").split("\n").length;
  return [...files].filter(([, text]) => lines(text) > LINE_LIMIT).map(([path, text]) =>
    `${path}: ${lines(text)} lines, at most ${LINE_LIMIT}`
  );
}

/** "file, line n: m columns", for each line that is too wide for a screen. */
function tooWide(files: Files): string[] {
  return [...files].filter(([path]) => /\.(ts|mjs|wgsl)$/.test(path)).flatMap(([path, text]) =>
    text.split("\n").flatMap((line, i) =>
      [...line].length > COLUMN_LIMIT ? [`${path}, line ${i + 1}: ${[...line].length} columns`] : []
    )
  );
}

const files = readFiles("src", "shaders", "demo");

test("imports point one way", () =>
  assertNone([
    ...wrongImports(files),
    ...unknownFolders(files).map((name) => `src/${name}: not in the order of layers`),
  ]));
test("ARCHITECTURE.md lists the folders in this order", () => {
  const text = Deno.readTextFileSync(new URL("../ARCHITECTURE.md", import.meta.url));
  assertEquals([...text.matchAll(/^\| `src\/(\w+)\/`/gm)].map(([, name]) => name), LAYERS);
});
test("each file and folder that ARCHITECTURE.md names is there", () => {
  const text = Deno.readTextFileSync(new URL("../ARCHITECTURE.md", import.meta.url));
  const paths = [...text.matchAll(/`((?:src|shaders|tests|docs)\/[\w./]*)`/g)].map(([, path]) => path!);
  assert(paths.length > 30, `only ${paths.length} paths are named`);
  for (const path of paths.filter((path) => !path.includes("NAME"))) {
    assert(existsSync(new URL(`../${path}`, import.meta.url)), `ARCHITECTURE.md names ${path}, which is not there`);
  }
});
test("each shader is used, by one folder", () => assertNone(wrongShaders(files)));
test(`no file has more than ${LINE_LIMIT} lines`, () => assertNone(tooLong(files)));
test(`no line has more than ${COLUMN_LIMIT} columns`, () =>
  assertNone(tooWide(new Map([...files, ...readFiles("tests")]))));

function assertNone(faults: readonly string[]): void {
  assert(faults.length === 0, faults.join("\n"));
}

test("these checks find what they are for", () => {
  const made: Files = new Map([
    [
      "src/gpu/a.ts",
      'import {\n  b,\n} from "../plan/b.ts";\n// import { c } from "../cli/c.ts";\nimport { x } from "valibot";\n',
    ],
    [
      "src/ops/b.ts",
      'import one from "../../shaders/one.wgsl" with { type: "text" };\nexport { a } from "../gpu/a.ts";\n',
    ],
    [
      "src/optim/c.ts",
      'import one from "../../shaders/one.wgsl" with { type: "text" };\n' +
      'await import("../models/m.ts");\nimport "../index.ts";\n',
    ],
    ["src/extra/d.ts", 'new Worker(new URL("./no.wgsl", import.meta.url));'],
    ["src/index.ts", 'export * from "./train/t.ts";\nexport * from "./cli/main.ts";\n'],
    [
      "demo/page.ts",
      'import { a } from "../src/gpu/a.ts";\nimport { b } from "../src/index.ts";\n' +
      'import { x } from "../src/exports/x.ts";\nimport { c } from "./c.ts";\n',
    ],
    ["demo/long.ts", "x;\n".repeat(LINE_LIMIT + 1)],
    ["shaders/one.wgsl", ""],
    ["shaders/dead.wgsl", ""],
    ["shaders/lib/dead.wgsl", ""],
  ]);
  assertEquals(wrongImports(made), [
    "src/gpu/a.ts imports src/plan/b.ts: gpu comes before plan",
    `src/optim/c.ts imports src/index.ts: expected a file below src/{${LAYERS.join(",")}}`,
    "src/optim/c.ts imports src/models/m.ts: optim comes before models",
    `src/extra/d.ts imports src/extra/no.wgsl: expected a file below src/{${LAYERS.join(",")}}`,
    "src/index.ts imports src/cli/main.ts: src/index.ts is for pages too, cli is for Deno",
    "demo/page.ts imports src/gpu/a.ts: demo imports only what the package exports",
  ]);
  assertEquals(unknownFolders(made), ["extra"]);
  assertEquals(wrongShaders(made), [
    "src/extra/no.wgsl: no such file, used by src/extra",
    "shaders/one.wgsl: used by src/ops and src/optim, expected one folder",
    "shaders/dead.wgsl: used by no file of src",
    "shaders/lib/dead.wgsl: used by no file of src",
  ]);
  assertEquals(
    tooWide(new Map([["src/a.ts", `short\n${"é".repeat(COLUMN_LIMIT)}\n${"x".repeat(COLUMN_LIMIT + 1)}\n`]])),
    [
      `src/a.ts, line 3: ${COLUMN_LIMIT + 1} columns`,
    ],
  );
  assertEquals(tooLong(made), [`demo/long.ts: ${LINE_LIMIT + 1} lines, at most ${LINE_LIMIT}`]);
});
