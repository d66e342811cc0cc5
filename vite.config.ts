import type { IncomingMessage, ServerResponse } from "node:http";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { readFile, realpath } from "node:fs/promises";
import { basename, extname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin, type UserConfig } from "vite";

const repository = fileURLToPath(new URL(".", import.meta.url));

/**
 * `import code from "./x.wgsl" with { type: "text" }`, which Deno and Chromium know and Vite does not yet (rolldown
 * issue 9088).
 */
function wgslText(): Plugin {
  let isBuild = false;
  return {
    name: "wgsl-text",
    enforce: "pre",
    configResolved({ command }) {
      isBuild = command === "build";
    },
    transform(code: string, id: string) {
      if (!id.split("?")[0]!.endsWith(".wgsl")) return null;
      const text = isBuild ? shortened(code) : code;
      return { code: `export default ${JSON.stringify(text)};`, map: null, moduleType: "js" };
    },
  };
}

/** The shader without comments, indentation, and spaces around signs. Lines of the preprocessor stay. */
function shortened(code: string): string {
  const lines = code.replaceAll(/\/\/.*/g, "").split("\n").map((line) => line.trim()).filter(Boolean);
  return lines.map((line) => line.startsWith("#") ? line : line.replaceAll(/ *([=,;:(){}<>]) */g, "$1")).join("\n");
}

/** Serves the checkout's `../shared` (fixtures, data) below /shared/, on this machine only. */
function sharedFiles(): Plugin {
  const folder = realpath(join(repository, "..", "shared")).catch(() => null);
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const bytes = request.method === "GET" ? await readBelow(await folder, request.url ?? "/") : null;
    response.writeHead(bytes ? 200 : 404, {
      "Content-Type": "application/octet-stream",
      "Content-Length": bytes?.byteLength ?? 0,
      "Cross-Origin-Resource-Policy": "same-origin",
    });
    response.end(bytes);
  };
  return {
    name: "shared-files",
    apply: "serve",
    configureServer({ middlewares }) {
      middlewares.use("/shared", serve);
    },
    configurePreviewServer({ middlewares }) {
      middlewares.use("/shared", serve);
    },
  };
}

/** The file's bytes, or null for whatever is no file below the folder, links and `..` resolved. */
async function readBelow(folder: string | null, url: string): Promise<Uint8Array | null> {
  if (folder === null) return null;
  try {
    const path = await realpath(join(folder, decodeURIComponent(url.split("?")[0]!)));
    return path.startsWith(folder + sep) ? await readFile(path) : null;
  } catch {
    return null;
  }
}

/** Every page of the demo is an entry of the build. The folder is absent in a checkout of the library alone. */
function pages(): string[] {
  const folder = join(repository, "demo");
  try {
    return readdirSync(folder).filter((name) => name.endsWith(".html")).map((name) => join(folder, name));
  } catch {
    return [];
  }
}

// Without these a page gets neither SharedArrayBuffer nor measureUserAgentSpecificMemory.
const isolation = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

const demo: UserConfig = {
  root: join(repository, "demo"),
  base: "./",
  plugins: [wgslText(), sharedFiles()],
  worker: { format: "es", plugins: () => [wgslText()] },
  // All packages but papaparse are ES modules already; bundling them on discovery would reload the page half-way.
  optimizeDeps: { noDiscovery: true, include: ["papaparse"] },
  server: { headers: isolation, fs: { allow: [repository] } },
  preview: { headers: isolation },
  build: { target: "esnext", outDir: join(repository, "dist"), emptyOutDir: true, rolldownOptions: { input: pages() } },
};

/** Writes the declarations of the package. Those of WebGPU come with it. */
function declarations(): Plugin {
  return {
    name: "declarations",
    closeBundle() {
      const tsc = join(repository, "node_modules/typescript/bin/tsc"), types = join(repository, "lib/types");
      execFileSync(process.execPath, [tsc, "-p", join(repository, "tsconfig.package.json")], { stdio: "inherit" });
      for (const entry of ["index.d.ts", ...readdirSync(join(types, "exports")).map((name) => `exports/${name}`)]) {
        const path = join(types, entry);
        writeFileSync(path, `/// <reference types="@webgpu/types" />\n${readFileSync(path, "utf8")}`);
      }
    },
  };
}

/** The package: an entry for each of its exports, the command line, and what starts it. */
function library(): UserConfig {
  const { dependencies } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  const exports = readdirSync(join(repository, "src/exports")).map((name) => `src/exports/${name}`);
  const entries = ["src/index.ts", ...exports, "src/cli/main.ts", "src/cli/bin.mjs"];
  const nameOf = (path: string): string => basename(path, extname(path)).replace("main", "cli");
  return {
    root: repository,
    plugins: [wgslText(), declarations()],
    build: {
      target: "esnext",
      outDir: join(repository, "lib"),
      emptyOutDir: true,
      minify: false,
      lib: {
        entry: Object.fromEntries(entries.map((path) => [nameOf(path), join(repository, path)])),
        formats: ["es"],
      },
      rolldownOptions: {
        external: [/^node:/, ...Object.keys(dependencies).map((name) => new RegExp(`^${name}(/|$)`))],
        output: { entryFileNames: "[name].js", chunkFileNames: "chunks/[name].js", comments: { jsdoc: false } },
      },
    },
  };
}

export default defineConfig(({ mode }) => (mode === "package" ? library() : demo));
