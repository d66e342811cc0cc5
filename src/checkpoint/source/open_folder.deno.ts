import { directoryFolder, isFolder } from "./directory.deno.ts";
import { hubFolder, type HubOptions, isRepository } from "./hub.ts";
import { defaultCacheFolder, directoryCache } from "./hub_cache_directory.deno.ts";
import type { Folder } from "./source.ts";

/**
 * A folder on the disk, or if there is none of this name a repository on the hub, with the token of HF_TOKEN.
 * @throws RangeError if it is neither.
 */
export async function openFolder(
  nameOrPath: string,
  options: Omit<HubOptions, "cache" | "token"> = {},
): Promise<Folder> {
  if (await isFolder(nameOrPath)) return directoryFolder(nameOrPath);
  if (!isRepository(nameOrPath)) {
    throw new RangeError(
      `Cannot open ${
        JSON.stringify(nameOrPath)
      }: there is no such folder (seen from ${Deno.cwd()}), and a repository on the hub is called "owner/name"`,
    );
  }
  return await hubFolder(nameOrPath, {
    ...options,
    token: Deno.env.get("HF_TOKEN"),
    cache: directoryCache(defaultCacheFolder()),
  });
}
