import { loadTokenizer } from "../../tokenizer/load_tokenizer.ts";
import { checkVocabulary, type Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { Json } from "../../models/config_reader.ts";
import type { Architecture, Model } from "../../models/architecture.ts";
import { architectureOf, ARCHITECTURES, createModel } from "../../models/model.ts";
import type { WeightType } from "../../models/parameter.ts";
import { openCheckpoint, PIECE_BYTES, type TensorFile } from "../safetensors/reader.ts";
import { createSha256 } from "../sha256.ts";
import type { ByteSource, Folder } from "../source/source.ts";
import { matchNames, mayBeNew } from "./tensor_names.ts";

/** A file as a checkpoint names it: a run that resumes must find it again unchanged. */
export interface FileIdentity {
  /** The file's name in the folder. */
  readonly name: string;
  /** Its size in bytes. */
  readonly bytes: number;
  /** Its SHA-256 in hexadecimal digits. */
  readonly sha256: string;
}

/** A Hugging Face folder whose small files have been read, but only the headers of its weights. */
export interface Pretrained {
  /** The folder that it was opened from. */
  readonly folder: Folder;
  /** The family of models that it belongs to. */
  readonly architecture: Architecture;
  /** config.json */
  readonly json: Json;
  /** generation_config.json; null if the folder has none. */
  readonly generation: Json | null;
  /** The tokenizer; null if the folder has none. */
  readonly tokenizer: Tokenizer | null;
  /** Its tensors, of one file or several shards. */
  readonly weights: TensorFile;
  /** Names of parameters that the files lack and a seed gives: those of a new classification head. */
  readonly isNew: ReadonlySet<string>;
  /** The format in which the files hold a parameter. */
  storedAs(name: string): WeightType;
  /**
   * Identifies the files that a run depends on: the weights, config.json, and those of the tokenizer with its chat
   * template. Reads all their bytes once.
   */
  identity(): Promise<readonly FileIdentity[]>;
}

const FORMATS: Readonly<Record<string, WeightType>> = { BF16: "bf16", F16: "f16", I8: "int8" };

/**
 * Opens the folder of a model: config.json, the tokenizer, and the headers of its weights, which must be those of the
 * config.
 * @param architectures the families to choose from by model_type.
 * @throws RangeError for files or settings that are missing, unknown or do not fit; it names all tensors that do not
 * fit.
 */
export async function openPretrained(
  folder: Folder,
  tokenizerFolder: Folder = folder,
  architectures: readonly Architecture[] = ARCHITECTURES,
): Promise<Pretrained> {
  const json = await readModelConfig(folder), architecture = architectureOf(json, architectures);
  const model = createModel(json, { architecture });
  const weights = await openCheckpoint(folder);
  const { found, missing, unexpected } = matchNames(
    model,
    [...weights.tensors.keys()].filter((name) => !isScale(name, weights)),
  );
  const needed = missing.filter((parameter) => !mayBeNew(model, parameter)).map(({ value }) => value.label);
  const types = new Map<string, WeightType>(), wrong: string[] = [];
  for (const [{ value: { label, shape } }, name] of found) {
    const entry = weights.tensors.get(name)!;
    if (entry.shape.join() !== shape.join()) wrong.push(`"${name}" is (${entry.shape}), expected (${shape})`);
    types.set(label, FORMATS[entry.dtype] ?? "f32");
  }
  refuse(folder, json, [...wrong, ...list("missing", needed), ...list("not of this model", unexpected)]);
  const { tokenizer, names } = await readTokenizer(tokenizerFolder, model);
  const identify = async (): Promise<FileIdentity[]> => [
    ...await Promise.all(weights.sources.map(identityOf)),
    ...await identitiesOf(folder, ["config.json"]),
    ...await identitiesOf(tokenizerFolder, names),
  ];
  let identity: Promise<readonly FileIdentity[]> | undefined;
  return {
    folder,
    architecture,
    json,
    generation: await readJsonFile(folder, "generation_config.json"),
    tokenizer,
    weights,
    isNew: new Set(missing.map(({ value }) => value.label)),
    storedAs: (name) => types.get(name) ?? "f32",
    identity: () => (identity ??= identify()),
  };
}

/** The config.json of a folder. @throws RangeError if it is missing or no JSON object. */
export async function readModelConfig(folder: Folder): Promise<Json> {
  const json = await readJsonFile(folder, "config.json");
  if (!json) {
    throw new RangeError(`Cannot load ${folder.name}: it has no config.json. Give the folder of a Hugging Face model`);
  }
  return json;
}

/** A JSON object in a folder; null if there is no such file. */
export async function readJsonFile(folder: Folder, name: string): Promise<Json | null> {
  const bytes = await readWhole(folder, name);
  if (!bytes) return null;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  } catch {
    // Falls through to the same error.
  }
  throw new RangeError(`Cannot load ${folder.name}: ${name} is not a JSON object. Copy or download it again`);
}

/** Bytes of a small file; null if there is none. @throws RangeError if it is not small. */
export async function readWhole(
  folder: Folder,
  name: string,
  most = 64 << 20,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const source = await folder.open(name);
  if (!source) return null;
  if (source.size > most) {
    throw new RangeError(
      `Cannot load ${folder.name}: ${name} has ${source.size} bytes, expected at most ${most}. Copy or download it ` +
        "again",
    );
  }
  return await source.read(0, source.size);
}

/** Reads a tokenizer, with the names of the files that it was read from. */
async function readTokenizer(
  folder: Folder,
  model: Model,
): Promise<{ readonly tokenizer: Tokenizer | null; readonly names: readonly string[] }> {
  if (
    !(await Promise.all(["tokenizer.json", "tokenizer.model", "vocab.json"].map((name) => folder.open(name)))).some(
      Boolean,
    )
  ) return { tokenizer: null, names: [] };
  const names = new Set<string>();
  const tokenizer = await loadTokenizer((name) => readWhole(folder, (names.add(name), name)));
  checkVocabulary(tokenizer, model.config.vocab_size);
  return { tokenizer, names: [...names] };
}

/** True for the scales of a quantized weight, as compressed-tensors names them: they are no tensors of their own. */
const isScale = (name: string, { tensors }: TensorFile): boolean =>
  name.endsWith("_scale") && tensors.get(name.slice(0, -"_scale".length))?.dtype === "I8";

const list = (
  what: string,
  names: readonly string[],
): string[] => (names.length === 0
  ? []
  : [`${what}: ${names.slice(0, 8).join(", ")}${names.length > 8 ? ` and ${names.length - 8} more` : ""}`]);

function refuse(folder: Folder, { quantization_config }: Json, problems: readonly string[]): void {
  if (problems.length === 0) return;
  const { quant_method } = (quantization_config ?? {}) as Json;
  const advice = quant_method === undefined
    ? "Use the config.json that was published with the weights"
    : `They are quantized by ${
      JSON.stringify(quant_method)
    }: use the model as it was before, with load_in_4bit or load_in_8bit`;
  throw new RangeError(
    `Cannot load ${folder.name}: its tensors are not those of its config.json (${
      problems.slice(0, 8).join("; ")
    }). ${advice}`,
  );
}

/** Identifies those of the files that are there. */
export async function identitiesOf(folder: Folder, names: readonly string[]): Promise<FileIdentity[]> {
  const sources = await Promise.all(names.map((name) => folder.open(name)));
  return await Promise.all(sources.filter((source) => source !== null).map(identityOf));
}

async function identityOf(source: ByteSource): Promise<FileIdentity> {
  const sha256 = createSha256();
  for (let start = 0; start < source.size; start += PIECE_BYTES) {
    sha256.update(await source.read(start, Math.min(start + PIECE_BYTES, source.size)));
  }
  return { name: source.name.replace(/^.*[\\/]/, ""), bytes: source.size, sha256: sha256.hex() };
}
