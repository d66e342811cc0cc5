import { assert, test } from "./harness.ts";
import { denoCheck, denoProgram } from "./process.deno.ts";

// The pages' code must run: every TypeScript block of README.md and docs/ is a program that ends without an error.

const repository = new URL("..", import.meta.url);
const pages = [
  "README.md",
  ...[...Deno.readDirSync(new URL("docs", repository))].map(({ name }) => `docs/${name}`).filter((name) =>
    name.endsWith(".md")
  ),
];

/** The TypeScript blocks of a page, which import beside it. */
const examplesOf = (page: string, text: string): string[] =>
  [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code]) =>
    code!.replaceAll(
      /"(\.\.?\/[^"]*)"/g,
      (_, path: string) => JSON.stringify(new URL(path, new URL(page, repository)).href),
    )
  );

const folder = Deno.makeTempDirSync(), files: string[] = [];
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

for (const page of pages) {
  const text = Deno.readTextFileSync(new URL(page, repository));
  for (const [index, code] of examplesOf(page, text).entries()) {
    const cwd = `${folder}/${files.length}`, path = `${cwd}/example.ts`;
    Deno.mkdirSync(cwd);
    Deno.writeTextFileSync(path, code);
    files.push(path);
    test(`example ${index + 1} of ${page} runs`, async () => {
      await denoProgram(cwd, path);
    });
  }
  test(`every link of ${page} to a file leads somewhere`, () => {
    for (const [, target] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      const exists = (() => {
        try {
          return Deno.statSync(new URL(target!, new URL(page, repository))).isFile;
        } catch {
          return false;
        }
      })();
      assert(exists, `${page} links to ${target}, which is not there`);
    }
  });
}

test("the examples of the pages have the right types", async () => {
  assert(files.length >= 3, `only ${files.length} examples`);
  await denoCheck(folder, files);
});
