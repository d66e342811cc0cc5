import { openPretrained } from "../../src/checkpoint/model/pretrained.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { IGNORED } from "../../src/data/ignored.ts";
import { openForEvaluation, openForGeneration } from "../../src/recipe/inference.ts";
import { sampleText } from "../../src/train/sample.ts";
import { folderOf, type OracleCase, oracleCase, type ReadFile, readJson } from "./files.ts";

interface Window {
  readonly ids: number[];
}

interface Expected {
  readonly mean_loss: { readonly stories: number; readonly shakespeare: number };
  readonly greedy: readonly {
    readonly prompt: string;
    readonly prompt_ids: number[];
    readonly new_ids: number[];
    readonly text: string;
  }[];
  readonly story_windows: readonly Window[];
  readonly shakespeare_windows: readonly Window[];
  readonly tolerance: { readonly loss_abs: number };
}

/**
 * A real pretrained model: its tokenizer's ids, the text that it continues a prompt with, its losses on stories and on
 * Shakespeare.
 */
export async function replayStories(gpu: Gpu, read: ReadFile, directory: string): Promise<OracleCase[]> {
  const expected = await readJson(read, `${directory}/expected.json`) as Expected;
  const pretrained = await openPretrained(folderOf(read, directory)), tokenizer = pretrained.tokenizer!;
  const differ = (
    a: ArrayLike<number>,
    b: ArrayLike<number>,
  ): number => (Array.from(a).join() === Array.from(b).join() ? 0 : 1);

  const T = Math.max(...expected.greedy.map(({ prompt_ids, new_ids }) => prompt_ids.length + new_ids.length));
  const generator = await openForGeneration(gpu, pretrained, { T });
  let ids = 0, texts = 0;
  for (const { prompt, prompt_ids, new_ids, text } of expected.greedy) {
    ids += differ(tokenizer.encode(prompt, { add_special_tokens: true }), prompt_ids);
    const options = { prompt, max_new_tokens: new_ids.length, temperature: 0, top_k: 0, seed: 0, max_length: T };
    if (await sampleText(generator.session, generator.program, tokenizer, options) !== text) texts++;
  }
  generator.session.destroy();
  return [
    oracleCase("stories260K prompts with other ids", ids, 0),
    oracleCase("stories260K greedy texts that differ", texts, 0),
    ...await replayWindows(gpu, pretrained, expected),
  ];
}

async function replayWindows(
  gpu: Gpu,
  pretrained: Parameters<typeof openForEvaluation>[1],
  { mean_loss, story_windows, shakespeare_windows, tolerance }: Expected,
): Promise<OracleCase[]> {
  const T = Math.max(...[...story_windows, ...shakespeare_windows].map(({ ids }) => ids.length - 1));
  const { session, program } = await openForEvaluation(gpu, pretrained, { B: 1, T, packed: false });
  const batchOf = ({ ids }: Window) => {
    const input_ids = new Uint32Array(T), labels = new Uint32Array(T).fill(IGNORED);
    input_ids.set(ids.slice(0, -1));
    labels.set(ids.slice(1));
    return { input_ids, labels };
  };
  const cases: OracleCase[] = [];
  for (const [name, windows] of [["stories", story_windows], ["shakespeare", shakespeare_windows]] as const) {
    const { eval_loss } = await session.evaluate(program, windows.map(batchOf));
    cases.push(oracleCase(`stories260K loss on ${name}`, Math.abs(eval_loss - mean_loss[name]), tolerance.loss_abs));
  }
  session.destroy();
  return cases;
}
