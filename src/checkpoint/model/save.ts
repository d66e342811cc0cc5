import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { Json } from "../../models/config_reader.ts";
import { product } from "../../models/low_rank_linear.ts";
import { mergedWeight } from "../../models/lora.ts";
import type { Model } from "../../models/architecture.ts";
import type { Parameter } from "../../models/parameter.ts";
import { linearLayers, lowRankLayers } from "../../models/parts.ts";
import type { Executor } from "../../plan/executor.ts";
import { size, type Tensor } from "../../plan/tensor.ts";
import { type TensorToWrite, writeSafetensors } from "../safetensors/writer.ts";

/** The contents of a file: whole, or in pieces, made as they are consumed. */
export type FileContents = Uint8Array<ArrayBuffer> | AsyncIterable<Uint8Array<ArrayBuffer>>;
/** Files of a folder by name. */
export type FolderFiles = ReadonlyMap<string, FileContents>;

/** A place where the files of a folder are written. */
export interface WritableFolder {
  /** Writes the files, in pieces as they are made. Resolves once they are stored. */
  write(files: FolderFiles): Promise<void>;
}

/** The pieces of a file. */
export async function* piecesOf(contents: FileContents): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  if (contents instanceof Uint8Array) yield contents;
  else yield* contents;
}

/** The parts of a model folder besides the numbers on the device. */
export interface ModelToSave {
  /** The model whose values are written. */
  readonly model: Model;
  /** config.json as it came, or as the model was made from it. */
  readonly json: Json;
  /** Written beside the model; null writes none. */
  readonly tokenizer: Tokenizer | null;
  /** generation_config.json as it came. */
  readonly generation: Json | null;
}

/** A tensor of the file with its sources. */
interface Output extends Omit<TensorToWrite, "bytes"> {
  readonly read: (executor: Executor) => Promise<Uint8Array<ArrayBuffer>>;
}

/**
 * A Hugging Face folder: config.json, the tokenizer's files, model.safetensors. Adapters and factors are multiplied and
 * added to their weights. Weights frozen in 16 bits are written in them, bit for bit; everything else in f32. Tensors
 * are read from the device one after another.
 */
export function modelFiles({ model, json, tokenizer, generation }: ModelToSave, executor: Executor): FolderFiles {
  const outputs = outputsOf(model), byName = new Map(outputs.map((output) => [output.name, output]));
  const wide = outputs.some(({ dtype }) => dtype === "F32");
  const metadata = new Map([["format", "pt"]]);
  return new Map<string, FileContents>([
    ["config.json", encodeJson(configOf(json, wide ? "float32" : undefined))],
    ...(generation ? [["generation_config.json", encodeJson(generation)] as const] : []),
    ...tokenizerFiles(tokenizer),
    [
      "model.safetensors",
      writeSafetensors(outputs.map(withBytes), metadata, async function* (name) {
        yield await byName.get(name)!.read(executor);
      }),
    ],
  ]);
}

export const encodeJson = (value: unknown): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);

export const tokenizerFiles = (tokenizer: Tokenizer | null): [string, Uint8Array<ArrayBuffer>][] =>
  [...(tokenizer?.files() ?? [])].map(([name, text]) => [name, new TextEncoder().encode(text)]);

/** The config with the present type: transformers 4 reads torch_dtype, 5 reads dtype. */
function configOf({ torch_dtype, dtype, quantization_config: _, ...json }: Json, now: string | undefined): Json {
  const type = now ?? dtype ?? torch_dtype ?? "float32";
  return { ...json, dtype: type, torch_dtype: type };
}

function outputsOf(model: Model): Output[] {
  const adapted = new Map(linearLayers(model).flatMap((layer) => (layer.lora ? [[layer.weight, layer] as const] : [])));
  const inside = new Set<Parameter>(lowRankLayers(model).flatMap(({ a, b }) => [a, b]));
  for (const { lora } of adapted.values()) inside.add(lora!.a).add(lora!.b);
  const plain = model.parameters.filter((parameter) => !inside.has(parameter)).map((parameter): Output => {
    const layer = adapted.get(parameter), { value } = parameter;
    if (!layer) return plainOutput(value);
    const { a, b } = layer.lora!;
    return f32Output(
      value.label,
      value.shape,
      async (executor) =>
        mergedWeight(layer, await executor.read(value), await executor.read(a.value), await executor.read(b.value)),
    );
  });
  const products = lowRankLayers(model).map(({ name, a, b, scale }) => {
    const shape = [b.value.shape[0]!, a.value.shape[1]!];
    return f32Output(
      `${name}.weight`,
      shape,
      async (executor) => product(await executor.read(a.value), await executor.read(b.value), a.value.shape[0]!, scale),
    );
  });
  return [...plain, ...products];
}

function plainOutput(tensor: Tensor): Output {
  const { label, shape, role, type } = tensor;
  if (role !== "frozen" || (type !== "bf16" && type !== "f16")) {
    return f32Output(label, shape, (executor) => executor.read(tensor));
  }
  const bytes = 2 * size(tensor);
  return {
    name: label,
    shape,
    dtype: type === "bf16" ? "BF16" : "F16",
    read: async (executor) => new Uint8Array((await executor.readWords(tensor)).buffer, 0, bytes),
  };
}

const withBytes = ({ name, dtype, shape }: Pick<TensorToWrite, "name" | "dtype" | "shape">): TensorToWrite => ({
  name,
  dtype,
  shape,
  bytes: (dtype === "F32" ? 4 : 2) * shape.reduce((a, b) => a * b, 1),
});

const f32Output = (
  name: string,
  shape: readonly number[],
  numbers: (executor: Executor) => Promise<Float32Array<ArrayBuffer>>,
): Output => ({
  name,
  shape,
  dtype: "F32",
  read: async (executor) => new Uint8Array((await numbers(executor)).buffer),
});
