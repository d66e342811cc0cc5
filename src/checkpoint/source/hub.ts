import { HubApiError, listFiles, modelInfo } from "@huggingface/hub";
import { type HubCache, readCachedJson } from "./hub_cache.ts";
import { HubUnreachableError, patientFetch, type Pause } from "./hub_fetch.ts";
import { type HubEntry, hubFile } from "./hub_file.ts";
import { isInside } from "./path.ts";
import type { Folder } from "./source.ts";

const HUB = "https://huggingface.co";

/** True for a name like "owner/name". */
export const isRepository = (name: string): boolean => /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(name);
const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision);

/** Options of reading a model of the hub. */
export interface HubOptions {
  /** A branch, a tag or a commit; "main" by default. */
  readonly revision?: string;
  /** A user's access token, for repositories that not everybody may read. */
  readonly token?: string | undefined;
  /** Keeps files between visits. */
  readonly cache: HubCache;
  /** Asks the hub; the runtime's own by default. */
  readonly fetch?: typeof globalThis.fetch;
  /** Waits between attempts. */
  readonly pause?: Pause;
}

/** A repository of the hub, read like a folder. */
export interface HubFolder extends Folder {
  /** The commit of the revision when the folder was opened, from which all files are. */
  readonly commit: string;
}

/**
 * A model's repository on the Hugging Face hub, read in parts and kept in a cache. Files that are whole in the cache
 * are not requested again, nor is the list of files of a commit, so that such a commit, or a branch while the hub
 * cannot be reached, needs no network.
 * @param repo "owner/name".
 * @throws RangeError if there is no such repository or revision, or the token may not read it; HubUnreachableError.
 */
export async function hubFolder(
  repo: string,
  { revision = "main", token, cache, fetch = globalThis.fetch, pause = sleep }: HubOptions,
): Promise<HubFolder> {
  if (!isRepository(repo)) {
    throw new RangeError(`Cannot read ${JSON.stringify(repo)} from the hub: expected "owner/name"`);
  }
  const hub: Hub = {
    repo,
    revision,
    cache,
    fetch: patientFetch(fetch, pause),
    access: token ? { accessToken: token } : {},
  };
  const commit = await pinCommit(hub), entries = await filesOf(hub, commit);
  return {
    name: repo,
    commit,
    async open(path) {
      const entry = entries.get(path);
      if (!entry) return null;
      const url = `${HUB}/${repo}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
      return await hubFile(entry, {
        name: `${repo}/${path}`,
        cache,
        bytes: `${repo}/${commit}/${path}`,
        record: `${repo}/records/${commit}/${path}.json`,
        pause,
        async request(start, end) {
          const headers = { Range: `bytes=${start}-${end - 1}`, ...token && { Authorization: `Bearer ${token}` } };
          const response = await hub.fetch(url, { headers }).catch((error) => refuse(hub, error));
          if (response.status === 200 || response.status === 206) return response;
          await response.body?.cancel();
          return refuse(hub, new HubApiError(url, response.status));
        },
      });
    },
  };
}

interface Hub {
  readonly repo: string;
  readonly revision: string;
  readonly cache: HubCache;
  readonly fetch: typeof globalThis.fetch;
  readonly access: { accessToken?: string };
}

const sleep: Pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The commit that the revision is now, or if the hub cannot be reached, the one of the last answer. */
async function pinCommit(hub: Hub): Promise<string> {
  const { repo, revision, cache } = hub;
  if (isCommit(revision)) return revision;
  const known = `${repo}/refs/${encodeURIComponent(revision)}.json`;
  try {
    const { sha } = await modelInfo({
      name: repo,
      revision,
      additionalFields: ["sha"],
      fetch: hub.fetch,
      ...hub.access,
    });
    if (!isCommit(sha)) {
      throw new RangeError(`Cannot read ${repo}: the hub gave ${JSON.stringify(sha)} as commit of ${revision}`);
    }
    await cache.replace(known, JSON.stringify({ commit: sha }));
    return sha;
  } catch (error) {
    const commit = error instanceof HubUnreachableError ? (await readCachedJson(cache, known))?.["commit"] : undefined;
    return typeof commit === "string" && isCommit(commit) ? commit : refuse(hub, error as Error);
  }
}

/** The files of a commit, which never change: they are requested once. */
async function filesOf(hub: Hub, commit: string): Promise<ReadonlyMap<string, HubEntry>> {
  const { repo, cache } = hub, known = `${repo}/records/${commit}.json`;
  const kept = await readCachedJson(cache, known);
  if (kept) return new Map(Object.entries(kept as Record<string, HubEntry>));
  const files = new Map<string, HubEntry>();
  try {
    for await (
      const { type, path, size, lfs } of listFiles({
        repo,
        revision: commit,
        recursive: true,
        fetch: hub.fetch,
        ...hub.access,
      })
    ) {
      // The hub's answer is a stranger's: a path becomes a name in the cache, a size an allocation.
      if (type !== "file" || !isInside(path) || !Number.isSafeInteger(size) || size < 0) continue;
      files.set(path, { size, ...lfs && { sha256: lfs.oid } });
    }
  } catch (error) {
    refuse(hub, error as Error);
  }
  await cache.replace(known, JSON.stringify(Object.fromEntries(files)));
  return files;
}

function refuse({ repo, revision, access }: Hub, error: Error): never {
  const what = `Cannot read ${repo} from the hub`, local = "give a local folder: it works the same";
  if (error instanceof HubUnreachableError) {
    throw new HubUnreachableError(`${what}: ${error.message}. Check the network, or ${local}`, { cause: error });
  }
  if (!(error instanceof HubApiError)) throw error;
  const { statusCode: status } = error;
  if (status === 401 || status === 403) {
    const advice = access.accessToken
      ? `The token of HF_TOKEN may not read it: ask for access at ${HUB}/${repo}`
      : "Check the name, or set HF_TOKEN to a token that may read it";
    throw new RangeError(`${what}: it is gated, private or absent (HTTP ${status}). ${advice}`);
  }
  if (status === 404) {
    throw new RangeError(
      `${what}: there is no such repository, or no revision "${revision}" of it (HTTP 404). Check the name, or ` +
        `${local}`,
    );
  }
  throw new HubUnreachableError(`${what}: it answers HTTP ${status}. Try again later, or ${local}`, { cause: error });
}
