// Folders of small pretrained models with random weights, and data of token ids for them: they have no tokenizer.

import { createModel } from "../../src/models/model.ts";
import type { Json } from "../../src/models/config_reader.ts";
import { encodeSafetensors, type TensorData } from "../../src/checkpoint/safetensors/writer.ts";
import { tensorsOf } from "../checkpoint/model/folders.ts";
import { random } from "../harness.ts";

export interface FolderContents {
  readonly config?: Json;
  readonly tensors?: readonly TensorData[];
  /** Files besides, or in the place of the model's own; null: not there. */
  readonly files?: Readonly<Record<string, string | Uint8Array<ArrayBuffer> | null>>;
}

/** Writes the folder of a model. `config` and `tensors` may be others than those of `json`. */
export async function writeModel(
  path: string,
  json: Json,
  { config = json, tensors = tensorsOf(createModel(json)), files = {} }: FolderContents = {},
): Promise<void> {
  const contents = { "config.json": JSON.stringify(config), "model.safetensors": encodeSafetensors(tensors), ...files };
  await Deno.mkdir(path, { recursive: true });
  for (const [name, content] of Object.entries(contents)) {
    if (content !== null) {
      await Deno.writeFile(
        `${path}/${name}`,
        typeof content === "string" ? new TextEncoder().encode(content) : content,
      );
    }
  }
}

/** The upper halves of the words: bfloat16, rounded towards zero. */
export function inBfloat16(tensors: readonly TensorData[]): TensorData[] {
  return tensors.map((tensor) => {
    const words = new Uint32Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength / 4);
    return { ...tensor, dtype: "BF16", data: Uint16Array.from(words, (word) => word >>> 16) };
  });
}

export const jsonLines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

/** Rows of token ids below 37. */
export function idRows(count: number, seed: number): object[] {
  const next = random(seed), id = (): number => Math.floor(37 * next());
  return Array.from({ length: count }, () => ({ input_ids: Array.from({ length: 3 + Math.floor(8 * next()) }, id) }));
}

/** Rows of a text of token ids and one of these labels, which is that of its first token. */
export function labelledRows(count: number, seed: number, labels: readonly (string | number)[]): object[] {
  const next = random(seed), id = (): number => 3 + Math.floor(34 * next());
  return Array.from({ length: count }, () => {
    const ids = Array.from({ length: 2 + Math.floor(5 * next()) }, id);
    return { text: ids.join(" "), label: labels[ids[0]! % labels.length] };
  });
}

/** Writes a dataset folder with validation rows of its own, so that eval reads what a run was validated on. */
export async function writeRows(path: string, rows: (count: number, seed: number) => object[]): Promise<void> {
  await Deno.mkdir(path);
  await Deno.writeTextFile(`${path}/train.jsonl`, jsonLines(rows(30, 1)));
  await Deno.writeTextFile(`${path}/valid.jsonl`, jsonLines(rows(7, 2)));
}
