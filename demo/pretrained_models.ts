import type { ByteSource, Folder } from "../src/index.ts";
import { browserCache, filesFolder, hubFolder, openPretrained, type Pretrained } from "../src/exports/checkpoint.ts";
import type { ModelPlace, ModelReport } from "./protocol.ts";

/** The models that the page has chosen, by the name that settings give them. */
export class PretrainedModels {
  readonly #opened = new Map<string, Pretrained>();

  /** Reads all but the weights. @throws RangeError if files are missing or do not fit together. */
  async open(place: ModelPlace): Promise<ModelReport> {
    const folder = place.kind === "files"
      ? filesFolder(place.name, place.files)
      : await hubFolder(place.repository, { cache: await browserCache() });
    const pretrained = await openPretrained(folder);
    this.#opened.set(folder.name, pretrained);
    const bytes = weightBytes(pretrained);
    return {
      name: folder.name,
      model_type: String(pretrained.json["model_type"]),
      bytes,
      vocab_size: pretrained.tokenizer?.vocab_size ?? null,
    };
  }

  /** The model of a name; undefined for that of a new model, which is empty. */
  find(name: string): Pretrained | undefined {
    const found = this.#opened.get(name);
    if (!found && name !== "") {
      throw new RangeError(`Cannot use the model ${name}: it is not open. Choose it again under Model`);
    }
    return found;
  }
}

export const weightBytes = ({ weights }: Pretrained): number =>
  weights.sources.reduce((sum, { size }) => sum + size, 0);

/** The same folder; `onRead` is called with the bytes of each read, and may throw to end it. */
export function watched(folder: Folder, onRead: (bytes: number) => void): Folder {
  const watch = (source: ByteSource): ByteSource => ({
    ...source,
    async read(start, end) {
      onRead(end - start);
      return await source.read(start, end);
    },
  });
  return {
    name: folder.name,
    async open(path) {
      const source = await folder.open(path);
      return source && watch(source);
    },
  };
}
