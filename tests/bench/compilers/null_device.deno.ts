// A GPU that is not there, for compiling: Mesa's RADV behind the driver of null_device.c.

/** The folders in which Vulkan's loader finds the drivers of the system. */
const DRIVER_FOLDERS = ["/usr/local/share", "/usr/share", "/usr/local/etc", "/etc"].map((root) =>
  `${root}/vulkan/icd.d`
);

/** What a process needs in its environment to find the GPU, but for the GPU's family. */
export interface NullDevice extends Disposable {
  readonly environment: Readonly<Record<string, string>>;
}

/** This machine lacks a program that compiling takes. */
export class Unavailable extends Error {
  override name = "Unavailable";
}

/**
 * Builds the driver, in a temporary folder that lasts as long as the device.
 * @param radv path of RADV's library; by default that of the system.
 * @throws Unavailable without RADV or a C compiler.
 */
export async function createNullDevice(radv = findRadv()): Promise<NullDevice> {
  const folder = Deno.makeTempDirSync({ prefix: "scrimp-compilers-" });
  const remove = (): void => Deno.removeSync(folder, { recursive: true });
  try {
    const library = `${folder}/null_device.so`, manifest = `${folder}/null_device.json`;
    await buildLibrary(library);
    const ICD = { library_path: library, api_version: "1.3.230" };
    Deno.writeTextFileSync(manifest, JSON.stringify({ file_format_version: "1.0.0", ICD }));
    const environment = {
      NULL_DEVICE_DRIVER: radv,
      // The older and the newer name of the same variable.
      VK_ICD_FILENAMES: manifest,
      VK_DRIVER_FILES: manifest,
      RADV_DEBUG: "shaders,shaderstats,nocache",
      MESA_SHADER_CACHE_DISABLE: "1",
      MESA_VK_IGNORE_CONFORMANCE_WARNING: "1",
      XDG_RUNTIME_DIR: folder,
    };
    return { environment, [Symbol.dispose]: remove };
  } catch (error) {
    remove();
    throw error;
  }
}

async function buildLibrary(path: string): Promise<void> {
  const source = new URL("null_device.c", import.meta.url).pathname;
  const cc = new Deno.Command("cc", { args: ["-O1", "-shared", "-fPIC", "-o", path, source, "-ldl"], stderr: "piped" });
  try {
    const { success, stderr } = await cc.output();
    if (!success) throw new Unavailable(`Cannot build null_device.c: ${new TextDecoder().decode(stderr)}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new Unavailable("Cannot find cc. Install gcc and libc6-dev");
    throw error;
  }
}

/** RADV's library, as its manifest names it. */
function findRadv(): string {
  for (const folder of DRIVER_FOLDERS) {
    const manifest = namesIn(folder).find((name) => /^radeon_icd.*\.json$/.test(name));
    if (manifest) return JSON.parse(Deno.readTextFileSync(`${folder}/${manifest}`)).ICD.library_path;
  }
  throw new Unavailable("Cannot find Mesa's RADV. Install mesa-vulkan-drivers (Linux only)");
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
