// Values that cross between a page and its Worker. Files, handles, texts and rows are copied as they are; of a folder
// or a file that is an object with functions, the functions stay and are called through a port.

import { expose, releaseProxy, type Remote, wrap } from "comlink";
import type { ByteSource, Folder } from "../checkpoint/source/source.ts";
import type { DatasetFiles } from "../recipe/data.ts";
import type { Dataset } from "./datasets.ts";
import type { ModelSource } from "./sources.ts";

type FileFacts = Pick<ByteSource, "name" | "size">;

/** Files that stay on the other side of a port, by their paths. */
interface ServedFiles {
  open(path: string): Promise<FileFacts | null>;
  read(path: string, start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** A folder that stays on the other side. */
interface SentFolder {
  readonly name: string;
  readonly port: MessagePort;
}

/** Files of rows that stay on the other side, in a folder that numbers them: "train/0". */
interface SentRows {
  readonly files: Readonly<Record<Split, readonly FileFacts[]>>;
  readonly port: MessagePort;
}

/** A place of a model as it is sent. */
export type SentSource = string | File[] | FileSystemDirectoryHandle | SentFolder;
/** A dataset as it is sent. */
export type SentDataset = string | object[] | SentRows;

const SPLITS = ["train", "validation", "test"] as const;
type Split = (typeof SPLITS)[number];

/** Makes values ready to be sent, and collects the ports that go with them. */
export class Sending {
  readonly ports: MessagePort[] = [];

  source(source: ModelSource): SentSource {
    if (typeof source === "string") return source;
    if ("open" in source) return { name: source.name, port: this.#files((path) => source.open(path)) };
    return "getFileHandle" in source ? source : [...source];
  }

  dataset(dataset: Dataset): SentDataset {
    if (typeof dataset === "string") return dataset;
    if (!("train" in dataset)) return [...dataset];
    const of = (split: Split): readonly ByteSource[] => dataset[split] ?? [];
    const byPath = new Map(SPLITS.flatMap((split) => of(split).map((file, i) => [`${split}/${i}`, file])));
    const facts = (split: Split): FileFacts[] => of(split).map(({ name, size }) => ({ name, size }));
    return {
      files: { train: facts("train"), validation: facts("validation"), test: facts("test") },
      port: this.#files((path) => Promise.resolve(byPath.get(path) ?? null)),
    };
  }

  function<T>(call: (value: T) => unknown): MessagePort {
    return this.#serve(call);
  }

  #files(open: (path: string) => Promise<ByteSource | null>): MessagePort {
    const opened = new Map<string, Promise<ByteSource | null>>();
    const openOnce = (path: string): Promise<ByteSource | null> => {
      const source = opened.get(path) ?? open(path);
      opened.set(path, source);
      return source;
    };
    const files: ServedFiles = {
      async open(path) {
        const source = await openOnce(path);
        return source && { name: source.name, size: source.size };
      },
      read: async (path, start, end) => await (await openOnce(path))!.read(start, end),
    };
    return this.#serve(files);
  }

  #serve(api: object): MessagePort {
    const { port1, port2 } = new MessageChannel();
    expose(api, port1);
    this.ports.push(port2);
    return port2;
  }
}

/** Makes values that came usable again, until they are released. */
export class Received {
  readonly #proxies: Remote<object>[] = [];

  source(source: SentSource): ModelSource {
    if (typeof source === "string" || !("port" in source)) return source;
    const files = this.#wrap<ServedFiles>(source.port);
    return {
      name: source.name,
      async open(path) {
        const facts = await files.open(path);
        return facts && { ...facts, read: (start, end) => files.read(path, start, end) };
      },
    } satisfies Folder;
  }

  dataset(dataset: SentDataset): Dataset {
    if (typeof dataset === "string" || !("port" in dataset)) return dataset;
    const files = this.#wrap<ServedFiles>(dataset.port);
    const of = (split: Split): ByteSource[] =>
      dataset.files[split].map((facts, i) => ({
        ...facts,
        read: (start, end) => files.read(`${split}/${i}`, start, end),
      }));
    return { train: of("train"), validation: of("validation"), test: of("test") } satisfies DatasetFiles;
  }

  function<T>(port: MessagePort): (value: T) => Promise<unknown> {
    return this.#wrap<(value: T) => Promise<unknown>>(port) as (value: T) => Promise<unknown>;
  }

  /** Lets the other side forget what it has lent. */
  release(): void {
    for (const proxy of this.#proxies) proxy[releaseProxy]();
  }

  #wrap<T extends object>(port: MessagePort): Remote<T> {
    const proxy = wrap<T>(port);
    this.#proxies.push(proxy as Remote<object>);
    return proxy;
  }
}
