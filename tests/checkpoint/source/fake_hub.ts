// A hub of one repository, as a function from requests to answers: the three addresses that the project asks, with the
// hub's headers and error codes, and with the faults that a test asks for.

import { Sha256 } from "../../../src/checkpoint/sha256.ts";

export const REPO = "someone/tiny";
export const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const TOKEN = "hf_right";

export interface FakeHub {
  readonly fetch: typeof globalThis.fetch;
  handle(request: Request): Response;
  /** The requests: "model", "tree", or "path start-end". */
  readonly requests: string[];
  /** For the next requests, in order: instead of an answer, or from one. Undefined: none. */
  readonly faults: (Fault | undefined)[];
  gated: boolean;
  /** A server that knows no ranges. */
  rangeless: boolean;
}

export type Fault = (answer: Response) => Response;

const hashes = new WeakMap<Uint8Array, string>();

/** Once for the same bytes: many hubs have the same files. */
function hashOf(bytes: Uint8Array): string {
  const hash = hashes.get(bytes) ?? new Sha256().update(bytes).hex();
  hashes.set(bytes, hash);
  return hash;
}

/** Files as the hub has them; those of more than 1000 bytes are LFS files, with a hash. */
export function fakeHub(files: Readonly<Record<string, Uint8Array<ArrayBuffer>>>): FakeHub {
  const requests: string[] = [], faults: (Fault | undefined)[] = [];
  const entries = Object.entries(files).map(([path, bytes]) => {
    const lfs = bytes.length > 1000 && { lfs: { oid: hashOf(bytes), size: bytes.length, pointerSize: 130 } };
    return { type: "file", path, size: bytes.length, oid: "0".repeat(40), ...lfs };
  });

  function answer(request: Request): Response {
    const { pathname, searchParams } = new URL(request.url);
    const fail = (status: number, code: string): Response =>
      Response.json({ error: code }, { status, headers: { "X-Error-Code": code } });
    const known = [`/api/models/${REPO}/`, `/${REPO}/resolve/`].some((begin) => pathname.startsWith(begin));
    const path = decodeURIComponent(pathname.split(`/resolve/${COMMIT}/`)[1] ?? ""),
      [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("Range") ?? "") ?? [];
    requests.push(
      pathname.includes("/revision/") ? "model" : pathname.includes("/tree/") ? "tree" : `${path} ${start}-${end}`,
    );
    if (!known) return fail(404, "RepoNotFound");
    if (hub.gated && request.headers.get("Authorization") !== `Bearer ${TOKEN}`) {
      return fail(request.headers.has("Authorization") ? 403 : 401, "GatedRepo");
    }
    if (pathname === `/api/models/${REPO}/revision/main`) {
      return Response.json({ _id: "1", id: REPO, sha: COMMIT, lastModified: "2026-01-01T00:00:00Z" });
    }
    if (pathname.includes("/revision/")) return fail(404, "RevisionNotFound");
    // Two pages, as long listings have.
    if (pathname.includes("/tree/")) {
      if (searchParams.has("cursor")) return Response.json(entries.slice(1));
      return Response.json([{ type: "directory", path: "sub", size: 0, oid: "" }, ...entries.slice(0, 1)], {
        headers: { Link: `<${request.url}&cursor=1>; rel="next"` },
      });
    }
    const bytes = files[path];
    if (!bytes) return fail(404, "EntryNotFound");
    if (hub.rangeless || start === undefined) return new Response(bytes);
    const last = Math.min(Number(end), bytes.length - 1);
    return new Response(bytes.slice(Number(start), last + 1), {
      status: 206,
      headers: { "Content-Range": `bytes ${start}-${last}/${bytes.length}` },
    });
  }
  const hub: FakeHub = {
    requests,
    faults,
    gated: false,
    rangeless: false,
    handle(request) {
      const fault = faults.shift(), response = answer(request);
      return fault ? fault(response) : response;
    },
    fetch: (input, init) => new Promise((resolve) => resolve(hub.handle(new Request(input, init)))),
  };
  return hub;
}

export const noNetwork: Fault = () => {
  throw new TypeError("error sending request");
};

export const status = (code: number): Fault => () => new Response("<html>", { status: code });

/** The body ends, or breaks off, after so many bytes. */
export const cut = (after: number, breaks = false): Fault => (answer) => {
  let left = after;
  const shorten = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      const part = chunk.subarray(0, left);
      left -= part.length;
      controller.enqueue(part);
      if (left > 0) return;
      if (breaks) controller.error(new TypeError("connection reset"));
      else controller.terminate();
    },
  });
  return new Response(answer.body!.pipeThrough(shorten), answer);
};

/** More than was asked for. */
export const endless: Fault = (answer) =>
  new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1 << 20)) }), answer);

/** One bit of the body is another. */
export const flipped: Fault = (answer) => {
  let done = false;
  const flip = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      const copy = chunk.slice();
      if (!done) copy[copy.length >> 1]! ^= 1;
      done = true;
      controller.enqueue(copy);
    },
  });
  return new Response(answer.body!.pipeThrough(flip), answer);
};

export const otherRange: Fault = (answer) =>
  new Response(answer.body, { status: 206, headers: { "Content-Range": "bytes 0-9/10" } });
