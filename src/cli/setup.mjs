// Makes a fresh checkout ready to run: npm packages, a Vulkan driver for Deno's WebGPU, a Chromium for the tests. It
// runs before anything is installed, so it imports no package. Its messages go to stderr, because the stdout of
// `scrimp` is for machines.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export { denoEnvironment } from "./run_deno.mjs";

export const repository = fileURLToPath(new URL("../..", import.meta.url));

/** Everything that set-up needs to know of the machine, so that a test can describe another one. */
export const thisMachine = {
  platform: process.platform,
  isRoot: () => process.getuid?.() === 0,
  isVulkanReady: () => hasVulkanLoader() && hasVulkanDriver(),
  findChromium,
  /** True if the command exits with 0. Its output goes to stderr, or nowhere when `quiet`. */
  run(command, args, { quiet = false } = {}) {
    const output = quiet ? "ignore" : process.stderr;
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    return spawnSync(command, args, { cwd: repository, stdio: ["ignore", output, output], env }).status === 0;
  },
};

/**
 * Installs what is missing and returns quietly when nothing is.
 * @throws Error of one line that names the command to run, if something cannot be installed from here.
 */
export async function setup({ browser = false, machine = thisMachine } = {}) {
  installPackages(machine);
  installPrograms(machine, browser);
}

// ---- npm packages -----------------------------------------------------------------------------------------------

function installPackages(machine) {
  let missing = missingPackages();
  if (missing.length > 0) {
    say(
      `installing npm packages (npm install): ${missing.slice(0, 3).join(", ")}${
        missing.length > 3 ? ", …" : ""
      } missing`,
    );
    // This is not `npm ci`, which refuses a lock file that lacks a package which is optional and for another system,
    // and Deno comes as one package a system. --no-save keeps to the lock file's versions and leaves the file alone.
    const command = ["install", "--no-save", "--include=dev", "--include=optional", "--no-audit", "--no-fund"];
    const done = runNpm(machine, command);
    missing = missingPackages();
    if (!done || missing.length > 0) {
      throw new Error(
        `Cannot install the npm packages: npm install ${
          done ? `left out ${missing.join(", ")}` : "failed, see above"
        }. ` +
          `Run "npm ${command.join(" ")}" in ${repository}`,
      );
    }
  }
  // npm may have blocked the install script of the deno package; its launcher unpacks the binary when first run.
  if (!existsSync(denoBinary)) {
    say("unpacking Deno");
    const done = machine.run(process.execPath, [join(repository, "node_modules/deno/bin.cjs"), "--version"], {
      quiet: true,
    });
    if (!done) {
      throw new Error(
        `Cannot start Deno from node_modules/deno. Delete node_modules and run "npm install --include=optional" in ` +
          `${repository}`,
      );
    }
  }
}

/** The direct dependencies that are absent or of another version than package.json pins. */
function missingPackages() {
  const { dependencies, devDependencies } = readJson("package.json");
  const wanted = Object.entries({ ...dependencies, ...devDependencies });
  const isThere = ([name, version]) => {
    const installed = installedVersion(name);
    return /^\d/.test(version) ? installed === version : installed !== undefined;
  };
  return wanted.filter((wish) => !isThere(wish)).map(([name, version]) => `${name}@${version}`);
}

function installedVersion(name) {
  try {
    return readJson(`node_modules/${name}/package.json`).version;
  } catch {
    return undefined;
  }
}

function readJson(path) {
  return JSON.parse(readFileSync(join(repository, path), "utf8"));
}

function runNpm(machine, args) {
  // npm names its own script when it started us; then no search for npm (npm.cmd on Windows) is needed.
  const script = process.env.npm_execpath;
  if (script?.endsWith("npm-cli.js")) return machine.run(process.execPath, [script, ...args]);
  if (machine.platform === "win32") return machine.run("cmd.exe", ["/d", "/c", "npm", ...args]);
  return machine.run("npm", args);
}

// ---- Deno -------------------------------------------------------------------------------------------------------

const executable = process.platform === "win32" ? "deno.exe" : "deno";
const denoBinary = join(repository, "node_modules/deno", executable);

/**
 * Deno itself, not the launcher in node_modules/.bin: that one waits in spawnSync and cannot pass signals on.
 * On a read-only file system the launcher cannot unpack, and Deno stays in the package of its platform.
 */
export function findDeno() {
  if (existsSync(denoBinary)) return denoBinary;
  const platforms = join(repository, "node_modules/@deno");
  const binary = list(platforms).map((name) => join(platforms, name, executable)).find(existsSync);
  if (binary) return binary;
  throw new Error(`Cannot find Deno below ${join(repository, "node_modules")}. Run "npm install" in ${repository}`);
}

// ---- programs of the system -------------------------------------------------------------------------------------

function installPrograms(machine, browser) {
  const missing = missingPrograms(machine, browser);
  if (missing.length === 0) return;
  const what = missing.map(({ name }) => name).join(" and ");
  const packages = missing.flatMap(({ packages }) => packages);
  const another = missing.map(({ advice }) => advice).join(" and ");
  if (machine.platform !== "linux" || !machine.run("apt-get", ["--version"], { quiet: true })) {
    throw new Error(`Cannot find ${what}. Install ${another}`);
  }
  const byHand = `Run "sudo apt-get update && sudo apt-get install -y --no-install-recommends ${
    packages.join(" ")
  }", or install ${another}`;
  const sudo = machine.isRoot() ? [] : ["sudo", "-n"];
  if (sudo.length > 0 && !machine.run("sudo", ["-n", "true"], { quiet: true })) {
    throw new Error(`Cannot find ${what}. ${byHand}`);
  }

  const apt = (...args) => {
    const [command, ...rest] = [...sudo, "apt-get", ...args];
    return machine.run(command, rest);
  };
  say(`installing ${what} (apt-get install ${packages.join(" ")})`);
  // A stale list of one source fails the update and may still hold our packages, so the install decides.
  apt("update", "-qq");
  const done = apt("install", "-y", "-qq", "--no-install-recommends", ...packages);
  if (!done || missingPrograms(machine, browser).length > 0) {
    throw new Error(`Cannot install ${what}: apt-get ${done ? "did not bring it" : "failed, see above"}. ${byHand}`);
  }
}

function missingPrograms(machine, browser) {
  const missing = [];
  // macOS and Windows come with Metal and Direct3D.
  if (machine.platform === "linux" && !machine.isVulkanReady()) {
    missing.push({
      name: "a Vulkan driver",
      packages: ["libvulkan1", "mesa-vulkan-drivers"],
      advice: "the Vulkan driver of your GPU",
    });
  }
  if (browser && !machine.findChromium()) {
    missing.push({ name: "Chromium", packages: ["chromium"], advice: "Chromium or Chrome (or name it in CHROMIUM)" });
  }
  return missing;
}

function hasVulkanDriver() {
  if (process.env.VK_DRIVER_FILES || process.env.VK_ICD_FILENAMES) return true;
  const data = (process.env.XDG_DATA_DIRS || "/usr/local/share:/usr/share").split(":");
  const roots = [
    ...data,
    "/etc",
    "/usr/local/etc",
    process.env.XDG_DATA_HOME || join(process.env.HOME ?? "/", ".local/share"),
  ];
  return roots.some((root) => list(join(root, "vulkan/icd.d")).some((name) => name.endsWith(".json")));
}

function hasVulkanLoader() {
  const named = (process.env.LD_LIBRARY_PATH ?? "").split(":").filter(Boolean);
  const roots = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64"];
  const folders = [
    ...named,
    ...roots,
    ...roots.flatMap((root) =>
      list(root).filter((name) => name.endsWith("-linux-gnu")).map((name) => join(root, name))
    ),
  ];
  if (folders.some((folder) => existsSync(join(folder, "libvulkan.so.1")))) return true;
  const known = spawnSync("ldconfig", ["-p"], { encoding: "utf8" }); // NixOS and others keep libraries elsewhere
  return known.status === 0 && known.stdout.includes("libvulkan.so.1");
}

/** The path of a Chromium or Chrome, or undefined. */
export function findChromium() {
  const named = process.env.CHROMIUM;
  if (named && !existsSync(named)) {
    throw new Error(`Cannot find the browser that CHROMIUM names, ${named}. Correct it or unset it`);
  }
  if (named) return named;
  const onPath = (process.env.PATH ?? "").split(delimiter).filter(Boolean).flatMap((folder) =>
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"].map((name) => join(folder, name))
  );
  const mac = ["Chromium", "Google Chrome"].map((name) => `/Applications/${name}.app/Contents/MacOS/${name}`);
  const windows = ["PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"].flatMap((root) =>
    ["Google/Chrome", "Chromium"].map((name) => join(process.env[root] ?? "", name, "Application/chrome.exe"))
  );
  const usual = {
    linux: ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"],
    darwin: mac,
    win32: windows,
  };
  return [...onPath, ...(usual[process.platform] ?? [])].find(existsSync);
}

function list(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function say(line) {
  process.stderr.write(`scrimp: ${line}\n`);
}

/** Runs a script's main function; its error becomes one line and exit status 1. */
export async function runMain(main) {
  try {
    await main();
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === realpathSync(fileURLToPath(import.meta.url))) {
  await runMain(setup);
}
