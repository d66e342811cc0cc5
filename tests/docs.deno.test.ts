import { assert, test } from "./harness.ts";

// The pages' code must run: every TypeScript block of README.md and docs/ is a program that ends without an error.

const repository = new URL("..", import.meta.url);
const pages = [
  "README.md",
  ...[...Deno.readDirSync(new URL("docs", repository))].map(({ name }) => `docs/${name}`).filter((name) =>
    name.endsWith(".md")
  ),
];

for (const page of pages) {
  const text = Deno.readTextFileSync(new URL(page, repository));
  for (const [index, match] of [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].entries()) {
    test(`example ${index + 1} of ${page} runs`, async () => {
      const code = match[1]!.replaceAll(
        /"(\.\.?\/[^"]*)"/g,
        (_, path: string) => JSON.stringify(new URL(path, new URL(page, repository)).href),
      );
      const folder = await Deno.makeTempDir();
      try {
        await Deno.writeTextFile(`${folder}/example.ts`, code);
        const config = new URL("deno.json", repository).pathname;
        const command = new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--quiet", "--check", "--config", config, `${folder}/example.ts`],
          cwd: folder,
          stdout: "piped",
          stderr: "piped",
        });
        const { code: status, stderr } = await command.output();
        assert(status === 0, `${page}: ${new TextDecoder().decode(stderr)}`);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
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
