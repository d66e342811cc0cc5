import { assert, assertEquals, test } from "../harness.ts";
import { freshProject, manifest, tarball } from "./app.deno.ts";
import { outputOf, repository, run } from "../process.deno.ts";

const MOST_BYTES = 350_000, MOST_BYTES_OF_A_PAGE = 120_000, MOST_LINES = 20;

interface DenoConfig {
  readonly version: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly imports: Readonly<Record<string, string>>;
}

/** deno.json without its comments, which stand on lines of their own. */
const denoConfig = async (): Promise<DenoConfig> =>
  JSON.parse((await Deno.readTextFile(`${repository}/deno.json`)).replaceAll(/^\s*\/\/.*$/gm, "")) as DenoConfig;

const linesOf = (text: string): number => text.trimEnd().split("\n").length;

test("the tarball is small, whole, and holds nothing else", async () => {
  const path = await tarball(), { size } = await Deno.stat(path);
  assert(size < MOST_BYTES, `${size} bytes, at most ${MOST_BYTES}`);
  const names = (await outputOf("tar", ["tzf", path], { cwd: repository })).trim().split("\n").map((name) =>
    name.replace("package/", "")
  );
  const wanted = JSON.stringify([manifest.exports, manifest.bin]).match(/lib\/[^"]+/g)!;
  for (const name of ["README.md", "LICENSE", "package.json", ...wanted]) {
    assert(names.includes(name), `${name} is not in the tarball`);
  }
  const others = names.filter((name) => !/^(lib\/.*\.(js|d\.ts)|README\.md|LICENSE|package\.json)$/.test(name));
  assertEquals(others, [], "files that nobody needs");
  console.log(`tarball: ${size} bytes, ${names.length} files`);
});

test("package.json and deno.json say the same", async () => {
  const { version, exports, imports } = await denoConfig();
  assertEquals(version, manifest.version);
  assertEquals(Object.keys(exports), Object.keys(manifest.exports).filter((name) => name !== "./package.json"));
  for (const [name, path] of Object.entries(exports)) assertEquals(imports[name.replace(".", "scrimp")], path);
  for (const [name, target] of Object.entries(imports)) {
    const [, of, at] = /^npm:((?:@[\w-]+\/)?[\w-]+)@([^/]+)/.exec(target) ?? [];
    if (of) assertEquals(at, manifest.dependencies[of], `the version of ${name}`);
  }
});

test("deno publish takes the source as it is", async () => {
  const { code, stderr } = await run(Deno.execPath(), ["publish", "--dry-run", "--allow-dirty"], { cwd: repository });
  assert(code === 0, stderr.slice(-2000));
});

test("a fresh Deno project fine-tunes, evaluates, generates and saves in under 20 lines", async () => {
  const cwd = await freshProject("program", "model");
  assert(linesOf(await Deno.readTextFile(`${cwd}/main.ts`)) < MOST_LINES, "too many lines");
  await outputOf(Deno.execPath(), ["check", "main.ts"], { cwd });
  const out = await outputOf(Deno.execPath(), ["run", "-A", "main.ts"], { cwd });
  const { steps, eval_loss, text, again } = JSON.parse(out) as Record<string, never>;
  assertEquals([steps, typeof text, again], [[1, 2, 3, 4, 5, 6], "string", eval_loss]);
  await commandLine(cwd);
});

/** The command `scrimp` of an installed package does what the checkout's command line does. */
async function commandLine(cwd: string): Promise<void> {
  const bin = `${cwd}/node_modules/scrimp/lib/bin.js`, config = `${repository}/deno.json`;
  const env = { PATH: `${Deno.execPath().replace(/[\\/][^\\/]*$/, "")}:${Deno.env.get("PATH")}` };
  const ways: Readonly<Record<string, (args: readonly string[]) => ReturnType<typeof run>>> = {
    checkout: (args) =>
      run(Deno.execPath(), ["run", "-A", "--config", config, `${repository}/src/cli/main.ts`, ...args], { cwd }),
    deno: (args) => run(Deno.execPath(), ["run", "-A", "--quiet", "npm:scrimp", ...args], { cwd }),
    node: (args) => run("node", [bin, ...args], { cwd, env }),
  };
  await Deno.writeTextFile(`${cwd}/text.txt`, "1 + 1 = 2, and that is all.\n".repeat(40));
  const size = ["--hidden_size=16", "--num_attention_heads=2", "--num_key_value_heads=1", "--max_length=16"];
  const results = new Map<string, unknown>();
  for (const [name, start] of Object.entries(ways)) {
    const plan = await start(["plan", "--json", ...size]);
    const train = await start([
      ...["train", "--json", "--dataset=text.txt", "--tokenizer=byte", "--max_steps=2", `--run_name=${name}`],
      ...size,
    ]);
    const wrong = await start(["fly"]);
    const losses = train.stdout.split("\n").filter((line) => line.includes('"type":"step"')).map((line) =>
      (JSON.parse(line) as { loss: number }).loss
    );
    const model = await Deno.readFile(`${cwd}/runs/${name}/model/model.safetensors`).catch(() => train.stderr);
    results.set(name, {
      plan: plan.stdout,
      codes: [plan.code, train.code, wrong.code],
      losses,
      model,
      wrong: wrong.stderr,
    });
  }
  const { codes, losses } = results.get("checkout") as { codes: number[]; losses: number[] };
  assertEquals([codes, losses.length], [[0, 0, 2], 2]);
  assertEquals(results.get("deno"), results.get("checkout"), "deno run -A npm:scrimp");
  assertEquals(results.get("node"), results.get("checkout"), "scrimp in Node");
  if (Deno.build.os === "windows") return;
  await stopped(
    cwd,
    [bin, "train", "--dataset=text.txt", "--tokenizer=byte", "--run_name=stopped", "--json", ...size],
    env,
  );
  await throughNpm(cwd, bin);
}

/** A signal to Node reaches the run, which ends after its step and saves its model. */
async function stopped(cwd: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<void> {
  const options = ["--max_steps=1000000", "--logging_steps=1"];
  const child = new Deno.Command("node", { args: [...args, ...options], cwd, env, stdout: "piped", stderr: "null" })
    .spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream());
  let text = "", isAsked = false;
  for await (const piece of lines) {
    text += piece;
    if (isAsked || !text.includes('"type":"step"')) continue;
    child.kill("SIGTERM"); // a second one would end it at once
    isAsked = true;
  }
  const { code } = await child.status,
    { steps } = (JSON.parse(text.trim().split("\n").at(-1)!) as {
      summary: { steps: number };
    }).summary;
  assert(code === 0 && steps > 0, `ended with ${code} after ${steps} steps`);
  assert((await Deno.stat(`${cwd}/runs/stopped/model/model.safetensors`)).isFile, "no model");
}

/** Without a Deno on the machine npm is asked for the one of package.json. */
async function throughNpm(cwd: string, bin: string): Promise<void> {
  await Deno.mkdir(`${cwd}/path`);
  await Deno.writeTextFile(`${cwd}/path/npm`, '#!/bin/sh\necho "$@"\nexit 7\n', { mode: 0o755 });
  const node = (await outputOf("node", ["-p", "process.execPath"], { cwd: repository })).trim();
  const { code, stdout } = await run(node, [bin, "plan", "--json"], { cwd, env: { PATH: `${cwd}/path:/bin` } });
  const start = `exec --yes --package=deno@${manifest.devDependencies["deno"]} -- deno run -A`;
  assert(code === 7 && stdout.startsWith(start) && stdout.includes("cli.js plan --json"), `${code}: ${stdout}`);
}

test("a fresh Vite app does the same in a Worker, in a page of less than 120 kB", async () => {
  const { typescript, vite } = manifest.devDependencies;
  const cwd = await freshProject("page", "public/model", { typescript: typescript!, vite: vite! });
  assert(linesOf(await Deno.readTextFile(`${cwd}/main.ts`)) < MOST_LINES, "too many lines");
  await outputOf("node", ["node_modules/typescript/bin/tsc"], { cwd });
  await outputOf("node", ["node_modules/vite/bin/vite.js", "build"], { cwd });

  const { title, scripts, errors } = await open(`${cwd}/dist`);
  assertEquals(errors, []);
  const { steps, eval_loss, text, files } = JSON.parse(title) as Record<string, never>;
  assertEquals([steps, typeof text], [[1, 2, 3, 4, 5, 6], "string"]);
  assert(Number.isFinite(eval_loss), `evaluation ${eval_loss}`);
  assertEquals(files, ["adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json"]);

  const loaded = await Promise.all(scripts.map((name) => Deno.readTextFile(`${cwd}/dist${name}`)));
  const bytes = (await Promise.all(loaded.map(gzipped))).reduce((sum, size) => sum + size, 0);
  assert(bytes < MOST_BYTES_OF_A_PAGE, `${bytes} bytes of ${scripts.join(", ")}, at most ${MOST_BYTES_OF_A_PAGE}`);
  const hasEngine = (code: string): boolean => code.includes("raise_exception");
  const all = [...Deno.readDirSync(`${cwd}/dist/assets`)].map(({ name }) =>
    Deno.readTextFileSync(`${cwd}/dist/assets/${name}`)
  );
  assertEquals([all.some(hasEngine), loaded.some(hasEngine)], [true, false], "the engine of chat templates");
  console.log(`page: ${bytes} bytes of JavaScript, gzipped`);
});

/** Serves a folder and opens it in Chromium. */
async function open(path: string): Promise<{ title: string; scripts: string[]; errors: string[] }> {
  const types: Readonly<Record<string, string>> = { html: "text/html", js: "text/javascript" };
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const name = new URL(request.url).pathname.replace(/\/$/, "/index.html");
    const bytes = await Deno.readFile(path + name).catch(() => null);
    const headers = { "Content-Type": types[name.split(".").at(-1)!] ?? "application/octet-stream" };
    return new Response(bytes, { status: bytes ? 200 : name === "/favicon.ico" ? 204 : 404, headers });
  });
  try {
    const script = new URL("open_page.mjs", import.meta.url).pathname;
    return JSON.parse(await outputOf("node", [script, `http://127.0.0.1:${server.addr.port}/`], { cwd: repository }));
  } finally {
    await server.shutdown();
  }
}

async function gzipped(text: string): Promise<number> {
  const compressed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(compressed).arrayBuffer()).byteLength;
}
