// Fresh projects that install the package as strangers do: from its tarball, everything else from the registry.

import { trainModel } from "../../src/index.ts";
import { directory } from "../../src/exports/deno.ts";
import { outputOf, repository } from "../process.deno.ts";

const npm = Deno.build.os === "windows" ? "npm.cmd" : "npm";

interface Manifest {
  readonly version: string;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

export const manifest = JSON.parse(await Deno.readTextFile(`${repository}/package.json`)) as Manifest;

/** Removed when the process ends: the tests of a file share what is in it. */
const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "scrimp-package-" }));
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

/** The tarball, made once. */
let packed: Promise<string> | undefined;
export const tarball = (): Promise<string> =>
  packed ??= outputOf(npm, ["pack", "--pack-destination", folder], { cwd: repository })
    .then(() => `${folder}/scrimp-${manifest.version}.tgz`);

/** A small model to begin with, made once. */
let made: Promise<string> | undefined;
const model = (): Promise<string> =>
  made ??= (async () => {
    const size = { hidden_size: 32, num_attention_heads: 2, num_key_value_heads: 1, max_length: 32 };
    const run = await trainModel({ ...size, tokenizer: "byte", max_steps: 2, dataset: "1 + 1 = 2\n".repeat(100) });
    await run.save(directory(`${folder}/model`));
    run.close();
    // Any wish in its config makes the tokenizer one of Hugging Face's components, as those of published models are.
    await Deno.writeTextFile(`${folder}/model/tokenizer_config.json`, '{"clean_up_tokenization_spaces":true}');
    return `${folder}/model`;
  })();

/** A project of the files of a folder beside this one, with the package installed and the model in `place`. */
export async function freshProject(
  name: string,
  place: string,
  devDependencies: Readonly<Record<string, string>> = {},
): Promise<string> {
  const path = `${folder}/${name}`;
  await copy(new URL(name, import.meta.url).pathname, path);
  await copy(await model(), `${path}/${place}`);
  const dependencies = { scrimp: `file:${await tarball()}` };
  const json = { name, private: true, type: "module", dependencies, devDependencies };
  await Deno.writeTextFile(`${path}/package.json`, JSON.stringify(json));
  const install = ["install", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"];
  await outputOf(npm, install, { cwd: path });
  return path;
}

async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isFile } of Deno.readDir(from)) {
    if (isFile) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}
